// The page is whole without this: it only fetches the live part again when something new was stored.
(function () {
  "use strict";
  var live = document.getElementById("live"), line = document.getElementById("connection");
  if (!live || !window.EventSource || !window.htmx) { return; }
  var version = live.dataset.version, timer = 0;
  function say(text) { if (line && line.textContent !== text) { line.textContent = text; } }
  function refresh() {
    timer = 0;
    // Whoever is filling in a form of the live part must not lose it.
    var at = document.activeElement;
    if (at && live.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) { timer = setTimeout(refresh, 2000); return; }
    window.htmx.ajax("GET", location.pathname + location.search, { target: "#live", select: "#live", swap: "outerMorph" })
      .then(function () { live = document.getElementById("live"); });
  }
  function wanted() { if (!timer) { timer = setTimeout(refresh, 50); } }
  var source = new EventSource("/events");
  source.addEventListener("board", function (event) {
    say("Live");
    if (event.data !== version) { version = event.data; wanted(); }
  });
  source.onerror = function () { say("Connection lost; what you see may be old"); };
  // Ages and staleness move without anything being stored.
  setInterval(wanted, 60000);
  var spot = document.getElementById("said");
  if (spot) { spot.focus(); }
})();
