"""The abstract class of each kind of plugin: what a plugin author reads first."""
