"""One loop over Accelerate: processes, precision, optimizer steps, forward passes."""
