"""The exported detector and the inspection station that runs it. Importing this loads nothing."""
