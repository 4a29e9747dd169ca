"""Plugins by name: entry-point groups ``anomalib_federated.<kind>`` lead to plugin classes.

A plugin is a class that subclasses the interface of its kind and is named in the entry points of an installed
distribution, this project's own included. Nothing is imported before it is asked for.

Example:
    >>> from anomalib_federated import registry
    >>> "k_center" in registry.available("coreset")
    True
    >>> registry.load("coreset", "k_center").__name__
    'KCenterCoreset'
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from typing import Any, cast

INTERFACES = {
    "attack": "anomalib_federated.interfaces.attack:Attack",
    "coreset": "anomalib_federated.interfaces.coreset:Coreset",
    "explainer": "anomalib_federated.interfaces.explainer:Explainer",
    "fairness": "anomalib_federated.interfaces.fairness:Fairness",
    "partitioner": "anomalib_federated.interfaces.partitioner:Partitioner",
    "privacy": "anomalib_federated.interfaces.privacy:Privacy",
    "screening": "anomalib_federated.interfaces.screening:Screening",
    "strategy": "anomalib_federated.interfaces.strategy:BankStrategy",
}
"""Each kind of plugin and the class that its plugins subclass."""


class PluginError(RuntimeError):
    """A plugin is unknown, or its distribution is at fault."""


@dataclass(frozen=True)
class PluginInfo:
    """Where a plugin comes from.

    Attributes:
        kind: Kind of plugin, a key of :data:`INTERFACES`.
        name: Name under which configs know it.
        target: ``module:Class``.
        distribution: Name of the installed distribution that registers it.
        version: Version of that distribution.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} plugin '{self.name}' of {self.distribution} {self.version}"


def interface(kind: str) -> type[Any]:
    """The class that plugins of a kind subclass.

    Raises:
        PluginError: If there is no such kind.
    """
    _check_kind(kind)
    return _import_target(INTERFACES[kind])


def available(kind: str) -> dict[str, PluginInfo]:
    """The registered plugins of a kind by name, in alphabetical order; none of them is imported.

    Raises:
        PluginError: If there is no such kind, or two distributions register the same name.
    """
    _check_kind(kind)
    found: dict[str, PluginInfo] = {}
    for entry in sorted(entry_points(group=f"anomalib_federated.{kind}"), key=lambda entry: entry.name):
        info = _info(kind, entry)
        other = found.setdefault(entry.name, info)
        if other != info:
            msg = (
                f"Two distributions register a {kind} plugin named '{info.name}': {other.distribution} "
                f"({other.target}) and {info.distribution} ({info.target}); uninstall one or rename its entry point."
            )
            raise PluginError(msg)
    return found


def load(kind: str, name: str) -> type[Any]:
    """The class of a plugin.

    Args:
        kind: Kind of plugin.
        name: Name of its entry point.

    Raises:
        PluginError: If the kind or name is unknown (the error lists near names), the plugin cannot be imported, does
            not subclass its interface, leaves an abstract method open, or overrides one with another signature. The
            error names the plugin and its distribution.
    """
    plugins = available(kind)
    if name not in plugins:
        near = get_close_matches(name, plugins)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        msg = f"There is no {kind} plugin named '{name}'.{hint} Installed: {', '.join(plugins) or 'none'}."
        raise PluginError(msg)
    info = plugins[name]
    try:
        plugin = _import_target(info.target)
    except Exception as error:  # a module may raise anything while it is imported
        msg = f"The {info} cannot be imported from '{info.target}': {error}; repair or uninstall {info.distribution}."
        raise PluginError(msg) from error
    check_class(kind, plugin, f"The {info}")
    return plugin


def build(kind: str, spec: str | Mapping[str, Any], **arguments: Any) -> Any:  # noqa: ANN401 - the kind decides the type
    """Construct a plugin from what a config says.

    Args:
        kind: Kind of plugin.
        spec: Name of an entry point, or a mapping with ``class_path`` (such a name, or a dotted path to a class) and
            optionally ``init_args``.
        **arguments: Further arguments of the constructor, not to be repeated in ``init_args``.

    Raises:
        PluginError: As :func:`load` does; or if the mapping has other keys, names an argument twice, or the
            constructor has no such arguments. What the constructor itself raises is passed on.

    Example:
        >>> build("coreset", {"class_path": "k_center", "init_args": {"budget": 100}})
        KCenterCoreset(budget=100)
    """
    name, init_args = name_of(spec, kind=kind), arguments_of(spec)
    if twice := sorted(set(init_args) & set(arguments)):
        msg = f"The {kind} '{name}' gets {', '.join(twice)} twice; leave it out of its init_args."
        raise PluginError(msg)
    plugin = _resolve(kind, name)
    try:
        inspect.signature(plugin).bind(**init_args, **arguments)
    except TypeError as error:
        msg = f"The {kind} '{name}' cannot be made with {init_args | arguments!r}: {error}."
        raise PluginError(msg) from error
    return plugin(**init_args, **arguments)


def name_of(spec: str | Mapping[str, Any], *, kind: str = "plugin") -> str:
    """The plugin's name, or the path of its class, in what a config says.

    Args:
        spec: As :func:`build` takes it.
        kind: Kind of plugin, for error messages.

    Raises:
        PluginError: If the config says it in no such way.

    Example:
        >>> name_of("k_center"), name_of({"class_path": "random", "init_args": {}})
        ('k_center', 'random')
    """
    if isinstance(spec, str):
        return spec
    if not _is_spec(spec):
        msg = f"A {kind} in a config is a name, or a mapping of class_path and init_args; got {spec!r}."
        raise PluginError(msg)
    return str(spec["class_path"])


def arguments_of(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """The plugin's arguments in what a config says.

    Example:
        >>> arguments_of("k_center"), arguments_of({"class_path": "k_center", "init_args": {"budget": 9}})
        ({}, {'budget': 9})
    """
    return {} if isinstance(spec, str) else dict(spec.get("init_args") or {})


def origin_of(kind: str, plugin: type[Any]) -> str:
    """What error messages call the class of a plugin that is in use already.

    Args:
        kind: Kind of plugin.
        plugin: The class.

    Returns:
        Its name, its distribution and that one's version; of a class that is not registered, its path and the
        distributions that bring its package.

    Raises:
        PluginError: If there is no such kind.

    Example:
        >>> origin_of("coreset", load("coreset", "random")).rpartition(" ")[0]
        "coreset plugin 'random' of anomalib-federated"
    """
    target = f"{plugin.__module__}:{plugin.__qualname__}"
    for info in available(kind).values():
        if info.target == target:
            return str(info)
    distributions = packages_distributions().get(plugin.__module__.partition(".")[0], ["no distribution"])
    return f"{kind} class '{plugin.__module__}.{plugin.__qualname__}' of {', '.join(sorted(set(distributions)))}"


def check_class(kind: str, plugin: type[Any], label: str) -> None:
    """Refuse a plugin that does not fit the interface of its kind.

    Args:
        kind: Kind of plugin.
        plugin: What the entry point led to.
        label: What error messages call it.

    Raises:
        PluginError: If it is no class, no subclass of the interface, abstract, or differs in a signature.
    """
    base = interface(kind)
    if not inspect.isclass(plugin) or not issubclass(plugin, base):
        msg = f"{label} is not a subclass of {base.__module__}.{base.__name__}; make it one."
        raise PluginError(msg)
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        msg = f"{label} does not implement {', '.join(missing)} of {base.__name__}."
        raise PluginError(msg)
    for method in sorted(base.__abstractmethods__):
        _check_signature(getattr(base, method), getattr(plugin, method), f"{label}, method '{method}',")


def _check_signature(declared: Any, implemented: Any, label: str) -> None:  # noqa: ANN401 - any callable
    expected, actual = inspect.signature(declared).parameters, inspect.signature(implemented).parameters
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in actual.values())
    if absent := [name for name in expected if name not in actual and not takes_anything]:
        msg = f"{label} lacks the argument(s) {', '.join(absent)}; its signature must be {inspect.signature(declared)}."
        raise PluginError(msg)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    extra = [n for n, p in actual.items() if n not in expected and p.default is p.empty and p.kind not in variadic]
    if extra:
        msg = f"{label} demands the argument(s) {', '.join(extra)}, which nobody passes; give them defaults."
        raise PluginError(msg)


def _is_spec(spec: object) -> bool:
    if not isinstance(spec, Mapping) or set(spec) - {"class_path", "init_args"}:
        return False
    return isinstance(spec.get("class_path"), str) and isinstance(spec.get("init_args") or {}, Mapping)


def _resolve(kind: str, class_path: str) -> type[Any]:
    if "." not in class_path:
        return load(kind, class_path)
    module, _, name = class_path.rpartition(".")
    try:
        plugin = _import_target(f"{module}:{name}")
    except Exception as error:  # a module may raise anything while it is imported
        msg = f"The {kind} class '{class_path}' cannot be imported: {error}."
        raise PluginError(msg) from error
    check_class(kind, plugin, f"The {kind} class '{class_path}'")
    return plugin


def _check_kind(kind: str) -> None:
    if kind not in INTERFACES:
        msg = f"There is no kind of plugin named '{kind}'. Kinds: {', '.join(INTERFACES)}."
        raise PluginError(msg)


def _info(kind: str, entry: EntryPoint) -> PluginInfo:
    distribution = entry.dist
    name, version = (distribution.name, distribution.version) if distribution else ("an unnamed distribution", "?")
    return PluginInfo(kind, entry.name, entry.value, name, version)


def _import_target(target: str) -> type[Any]:
    module, _, name = target.partition(":")
    value: Any = import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return cast("type[Any]", value)  # check_class makes sure of it
