"""What people look at: tables and the model card."""
