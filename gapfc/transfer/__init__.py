"""Transfer: features learned on a source, put to use on a target."""
