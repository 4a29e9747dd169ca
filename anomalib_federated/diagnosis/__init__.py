"""What is installed on this machine, and what is missing for what it is to do; nothing here needs a training stack."""
