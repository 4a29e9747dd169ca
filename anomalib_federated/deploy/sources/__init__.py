"""Where pictures come from: files, a watched folder, a camera."""
