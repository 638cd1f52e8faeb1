"""The built-in SLOs, one file each; a file that exports `slo` here is found, nothing else needs to change."""
