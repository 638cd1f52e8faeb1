"""The pages that people look at: whole without JavaScript, made from what the read model says."""
