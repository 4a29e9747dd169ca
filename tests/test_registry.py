"""Plugins by name, tried on real distributions: a folder on the path with its metadata beside a module."""

import importlib
import sys
from textwrap import dedent

import pytest

from anomalib_federated import registry
from anomalib_federated.registry import PluginError
from anomalib_federated.selection.budget import Budget

GOOD = """
    from anomalib_federated.interfaces.coreset import Coreset, Picks
    import torch

    class First(Coreset):
        def __init__(self, *, budget, extra="none"):
            super().__init__(budget=budget)
            self.extra = extra

        def pick(self, rows, *, seed, start):
            self.check(features, start)
            return Picks(torch.tensor([0]))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution with one module on the path; the module is forgotten afterwards."""
    modules = []

    def make(distribution, *, entry, source=GOOD, kind="coreset", module=None):
        name, _, attribute = entry.partition(" = ")
        module = module or f"{distribution.replace('-', '_')}_plugins"
        root = tmp_path / distribution
        info = root / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[anomalib_federated.{kind}]\n{name} = {module}:{attribute}\n")
        if source is not None:
            (root / f"{module}.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(root)
        importlib.invalidate_caches()
        modules.append(module)
        return module

    yield make
    for module in modules:
        sys.modules.pop(module, None)


def test_own_plugins_are_registered_by_this_distribution():
    names = {kind: set(registry.available(kind)) for kind in registry.INTERFACES}
    assert names["coreset"] >= {"k_center", "random"}
    assert names["strategy"] >= {"concatenate", "federated_coreset"}
    assert names["partitioner"] >= {"by_pattern", "category", "iid"}
    assert registry.available("coreset")["k_center"].distribution == "anomalib-federated"


def test_a_third_partys_plugin_is_found_and_loaded(install):
    install("acme-coresets", entry="acme_first = First")
    info = registry.available("coreset")["acme_first"]
    assert (info.kind, info.name, info.distribution, info.version) == ("coreset", "acme_first", "acme-coresets", "1.2")
    assert str(info) == "coreset plugin 'acme_first' of acme-coresets 1.2"
    plugin = registry.load("coreset", "acme_first")
    assert plugin.__name__ == "First"
    assert issubclass(plugin, registry.interface("coreset"))


def test_names_are_listed_in_alphabetical_order(install):
    install("acme-a", entry="zz = First")
    install("acme-b", entry="aa = First")
    names = list(registry.available("coreset"))
    assert names == sorted(names)
    assert {"aa", "zz"} <= set(names)


def test_listing_imports_nothing(install):
    module = install("acme-lazy", entry="lazy = First", source="raise RuntimeError('imported')")
    assert "lazy" in registry.available("coreset")
    assert registry.load("coreset", "random")
    assert module not in sys.modules


def test_an_unknown_kind_is_refused_with_the_kinds():
    for call in (registry.available, registry.interface, lambda kind: registry.load(kind, "k_center")):
        with pytest.raises(PluginError, match=r"no kind of plugin named 'corset'\. Kinds: .*coreset.*strategy"):
            call("corset")


def test_an_unknown_name_is_refused_with_a_near_one():
    with pytest.raises(
        PluginError, match=r"no coreset plugin named 'k_centre'\. Did you mean 'k_center'\? Installed: "
    ):
        registry.load("coreset", "k_centre")
    with pytest.raises(PluginError) as caught:
        registry.load("coreset", "zzzzzz")
    assert "Did you mean" not in str(caught.value)
    assert ", ".join(registry.available("coreset")) in str(caught.value)


def test_a_name_that_two_distributions_register_is_refused(install):
    install("acme-one", entry="same = First")
    install("acme-two", entry="same = First")
    with pytest.raises(PluginError, match="Two distributions register a coreset plugin named 'same'") as caught:
        registry.available("coreset")
    for part in ("acme-one", "acme-two", "acme_one_plugins:First", "acme_two_plugins:First", "uninstall one"):
        assert part in str(caught.value)
    assert "iid" in registry.available("partitioner")


def test_a_copy_of_a_builtin_name_is_refused(install):
    install("acme-clash", entry="k_center = First")
    with pytest.raises(
        PluginError, match=r"named 'k_center'.*(acme-clash.*anomalib-federated|anomalib-federated.*acme)"
    ):
        registry.load("coreset", "k_center")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "No module named"),
        ("import surely_not_installed", "surely_not_installed"),
        ("class Other: pass", "First"),
        ("def (", "invalid syntax"),
        ("undefined_name", "undefined_name"),
        ("raise ValueError('no GPU here')", "no GPU here"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(install, source, reason):
    install("acme-broken", entry="broken = First", source=source)
    with pytest.raises(PluginError, match=r"coreset plugin 'broken' of acme-broken 1\.2 cannot be imported") as caught:
        registry.load("coreset", "broken")
    assert reason in str(caught.value)
    assert "repair or uninstall acme-broken" in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("class First: pass", r"is not a subclass of anomalib_federated\.interfaces\.coreset\.Coreset; make it one"),
        ("First = 3", "is not a subclass of"),
        ("def First(): pass", "is not a subclass of"),
        (
            """
            from anomalib_federated.interfaces.partitioner import Partitioner
            class First(Partitioner):
                def partition(self, images, *, seed=0): return {}
            """,
            "is not a subclass of",
        ),
        (
            """
            from anomalib_federated.interfaces.coreset import Coreset
            class First(Coreset): pass
            """,
            "does not implement pick of Coreset",
        ),
        (
            """
            from anomalib_federated.interfaces.coreset import Coreset
            class First(Coreset):
                def pick(self, rows): pass
            """,
            r"method 'pick', lacks the argument\(s\) seed, start; its signature must be \(",
        ),
        (
            """
            from anomalib_federated.interfaces.coreset import Coreset
            class First(Coreset):
                def pick(self, rows, *, seed, start, device): pass
            """,
            r"method 'pick', demands the argument\(s\) device, which nobody passes; give them defaults",
        ),
    ],
)
def test_a_class_that_does_not_fit_is_refused(install, source, reason):
    install("acme-wrong", entry="wrong = First", source=source)
    with pytest.raises(PluginError, match=rf"coreset plugin 'wrong' of acme-wrong 1\.2.*{reason}"):
        registry.load("coreset", "wrong")


def test_further_arguments_with_defaults_are_welcome(install):
    source = GOOD.replace("start=None):", "start=None, device='cpu', **options):")
    install("acme-more", entry="more = First", source=source)
    assert registry.load("coreset", "more").__name__ == "First"


# --- name_of ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["k_center", "some.module.Class"])
def test_the_name_in_a_config(name):
    assert registry.name_of(name) == name
    assert registry.name_of({"class_path": name}) == name
    assert registry.name_of({"class_path": name, "init_args": {"x": 1}}) == name


@pytest.mark.parametrize("spec", [{}, {"class_path": 3}, {"class_path": "x", "args": {}}, ["k_center"], None])
def test_a_config_that_names_no_plugin_is_refused(spec):
    with pytest.raises(PluginError, match="A coreset in a config is a name, or a mapping of class_path and init_args"):
        registry.name_of(spec, kind="coreset")


# --- build ----------------------------------------------------------------------------------------------------------


def test_build_takes_a_name_a_mapping_or_a_path(install):
    module = install("acme-build", entry="made = First")
    assert registry.build("coreset", "made", budget=4).budget == Budget(most=4)
    made = registry.build("coreset", {"class_path": "made", "init_args": {"extra": "x"}}, budget=0.5)
    assert (made.budget, made.extra) == (Budget(most=0.5), "x")
    made = registry.build("coreset", {"class_path": f"{module}.First", "init_args": {"budget": 9}})
    assert (type(made).__name__, made.budget, made.extra) == ("First", Budget(most=9), "none")
    assert registry.build("coreset", f"{module}.First", budget=2).budget == Budget(most=2)
    assert registry.build("coreset", {"class_path": "made", "init_args": None}, budget=2).budget == Budget(most=2)


def test_build_leaves_the_config_as_it_is(install):
    install("acme-keep", entry="keep = First")
    spec = {"class_path": "keep", "init_args": {"extra": "x"}}
    registry.build("coreset", spec, budget=3)
    assert spec == {"class_path": "keep", "init_args": {"extra": "x"}}


@pytest.mark.parametrize(
    "spec",
    [
        {"class_path": "k_center", "args": {}},
        {"init_args": {}},
        {"class_path": 3},
        {"class_path": "k_center", "init_args": [1]},
        {"class_path": "k_center", "init_args": "budget"},
        None,
        5,
        ["k_center"],
    ],
)
def test_build_refuses_what_is_no_name_and_no_mapping(spec):
    with pytest.raises(PluginError, match="A coreset in a config is a name, or a mapping of class_path and init_args"):
        registry.build("coreset", spec, budget=3)


def test_build_refuses_an_argument_given_twice():
    spec = {"class_path": "k_center", "init_args": {"budget": 3}}
    with pytest.raises(PluginError, match="coreset 'k_center' gets budget twice; leave it out of its init_args"):
        registry.build("coreset", spec, budget=3)


@pytest.mark.parametrize(
    ("arguments", "reason"), [({}, "missing a required.* 'budget'"), ({"budget": 3, "size": 1}, "unexpected .*'size'")]
)
def test_build_refuses_arguments_that_the_class_does_not_take(arguments, reason):
    with pytest.raises(PluginError, match=f"coreset 'k_center' cannot be made with .*{reason}"):
        registry.build("coreset", "k_center", **arguments)


def test_build_passes_on_what_the_constructor_says_of_a_value():
    with pytest.raises(ValueError, match="coreset budget is 0"):
        registry.build("coreset", "k_center", budget=0)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("surely_not.installed.First", "cannot be imported: No module named 'surely_not'"),
        ("anomalib_federated.registry.Nothing", "cannot be imported: .*Nothing"),
        ("anomalib_federated.registry.PluginInfo", "is not a subclass of"),
        ("anomalib_federated.interfaces.coreset.Coreset", "does not implement pick"),
    ],
)
def test_build_names_a_dotted_path_that_leads_nowhere(path, reason):
    with pytest.raises(PluginError, match=f"The coreset class '{path}' {reason}"):
        registry.build("coreset", path, budget=3)
