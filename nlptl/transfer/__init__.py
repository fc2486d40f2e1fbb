"""Transfer strategies: short roads through the same rooms."""
