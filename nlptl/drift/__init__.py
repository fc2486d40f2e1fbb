"""Whether new texts are still like those that a run was measured on."""
