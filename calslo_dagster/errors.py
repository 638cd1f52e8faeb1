"""The errors a caller can act on; each message names the thing, the value and the way out.

CalsloError
├── SettingsError     calslo.yaml or an environment variable is wrong
├── SourceError       a log, label feed or table cannot be read as configured
├── SnapshotError     snapshots are missing, of another grid, or would overflow
├── StoreError        the state store is absent, out of date or busy
├── PluginError       a user's SLO module or entry point does not load
├── SilenceError      a silence mutes nothing, too much, or does not exist
├── UnknownIncident   no incident has this id
├── ExclusionError    an exclusion cannot be as asked, or does not exist
├── TokenError        a token cannot be as asked, or does not exist
├── IngestError       a batch of rows has the id of another one
├── ExportError       a view cannot be written as was asked
├── BusyError         what was asked for takes too long just now
├── UnfitTextError    words of a person hold a character that no database keeps
├── DatadogError      Datadog did not take what it was sent
├── Retryable         a channel did not take a message, and may later
└── Rejected          a channel refused a message for good
"""


class CalsloError(Exception):
    """Base of every error raised on purpose."""


class SettingsError(CalsloError):
    """The settings are wrong; carries every mistake found, one per line."""


class SourceError(CalsloError):
    """A unit of input cannot be read as configured."""


class SnapshotError(CalsloError):
    """Snapshots cannot be combined or do not exist."""


class StoreError(CalsloError):
    """The state store cannot serve the request."""


class UnfitTextError(CalsloError):
    """Words of a person hold a character that no database keeps."""


class PluginError(CalsloError):
    """A user's SLO does not load."""


class ExclusionError(CalsloError):
    """An exclusion cannot be as asked, or does not exist."""


class IngestError(CalsloError):
    """A batch of rows has the id of another one, which is kept."""


class TokenError(CalsloError):
    """A token of the API cannot be as asked, or does not exist."""


class ExportError(CalsloError):
    """A view cannot be written as was asked; the message says which way is left."""


class BusyError(CalsloError):
    """What was asked for takes too long just now."""
