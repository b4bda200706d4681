"""How kernels that call each other become machine code: each is typed and lowered once, and what Python calls is optimised and
emitted once, with all that it calls in it.

Left alone, numba optimises and emits every kernel by itself, then again within each that calls it, and so on up: one under six
others is compiled seven times. The two libraries here leave that to the kernel at the top, which halves the time to compile. As
nobody else can call what is below it, LLVM may then leave out what is handed down and never looked at: with tables of a hundred
columns, that was a third of a plan's time. They stand on numba's classes of code libraries and its hook for pipelines; when LLVM
works is changed, and what it knows of who calls, but not the code that it is given.

Nor do most kernels count references. Left alone, each counts up every array that it is given, and down again as it returns: with
tables of a hundred columns, that was most of a plan's time. A kernel that neither makes an array nor gives one back only borrows
what its caller holds, and is lowered as numba lowers for devices that know no references.

And no index is below zero. Left alone, each is asked whether it is, to be counted from the end then, which was a seventh of a
plan's time. Uncompiled it would be, so that the two would differ: `NUMBA_BOUNDSCHECK=1` refuses it, and the long lane of the
tests has it so. A number that stands in the code may be below zero."""

from __future__ import annotations

from typing import Any

from numba.core import ir, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import register_pass
from numba.core.environment import lookup_environment
from numba.core.typed_passes import NativeLowering

_ENVIRONMENT = "_ZN08NumbaEnv"  # how the names of their variables begin


class _Library(JITCodeLibrary):
    """Knows everything that it needs, and not only what is called first; who is called stands before its callers."""

    def add_linking_library(self, library: Any) -> None:
        library._ensure_finalized()
        behind = library._linking_libraries if isinstance(library, Part) else ()
        self._linking_libraries += [each for each in (*behind, library) if each not in self._linking_libraries]


class Part(_Library):
    """What only kernels call: not optimised, linked or emitted here."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for each in self._linking_libraries:
            self._reload_init.update(each._reload_init)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0  # there is none

    @property
    def codegen(self) -> Any:
        return _Nowhere


class _Nowhere:
    """A part is in no machine code, so it has no variable for its environment either."""

    @staticmethod
    def set_env(name: str, env: Any) -> None:
        """Left to whole kernels."""


class Whole(_Library):
    """What Python calls, and all kernels that it calls."""

    def finalize(self) -> None:
        self._linking_libraries.reverse()  # a linker drops what nobody has called yet
        super().finalize()
        for each in self._final_module.global_variables:
            env = lookup_environment(each.name) if each.name.startswith(_ENVIRONMENT) else None
            if env is not None:
                self.codegen.set_env(each.name, env)

    def _optimize_final_module(self) -> None:
        for each in self._final_module.functions:
            if not each.is_declaration and each.linkage.name == "linkonce_odr":
                each.linkage = "internal"
        super()._optimize_final_module()


def compiler_of(library: type[_Library]) -> type[Compiler]:
    """numba's compiler, with another library to put the code of a kernel into."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class Lowering(NativeLowering):
        _name = f"native_lowering_{library.__name__}"

        def run_pass(self, state: Any) -> bool:
            if _borrows(state):
                state.targetctx = state.targetctx.subtarget(enable_nrt=False)
            _take_as_they_are(state)
            state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
            return bool(super().run_pass(state))

    class Own(Compiler):
        def define_pipelines(self) -> list[Any]:
            (passes,) = super().define_pipelines()
            passes.passes = [(Lowering if each is NativeLowering else each, what) for each, what in passes.passes]
            passes.finalize()
            return [passes]

    return Own


def _take_as_they_are(state: Any) -> None:
    """Indices of arrays as unsigned numbers: these are not asked whether they are below zero."""
    for what, signature in [*state.calltypes.items()]:
        taken = isinstance(what, ir.SetItem) or (isinstance(what, ir.Expr) and what.op == "getitem")
        if taken and signature is not None and isinstance(signature.args[0], types.Array):
            array, index, *value = signature.args
            known = state.typemap[what.index.name]  # of which numbers stand in the code
            del state.calltypes[what]  # which may be given once only
            state.calltypes[what] = signature.replace(args=(array, _unsigned(index, known), *value))


def _unsigned(index: Any, known: Any) -> Any:
    several = isinstance(index, types.BaseTuple)
    each, told = ([*index], [*known]) if several else ([index], [known])
    if not all(isinstance(one, types.Integer) for one in each):
        return index  # slices count from the end where they like
    fixed = [isinstance(one, types.Literal) for one in told]
    taken = [types.uintp if one.signed and not stands else one for one, stands in zip(each, fixed, strict=True)]
    return types.BaseTuple.from_types(taken) if several else taken[0]


_VIEWS = ("getitem", "static_getitem", "getiter", "iternext", "pair_first")


def _borrows(state: Any) -> bool:
    """Whether a kernel neither makes arrays nor gives any back. Views of what it was given are none of its own."""

    def counted(kind: Any) -> bool:
        return bool(state.targetctx.data_model_manager[kind].contains_nrt_meminfo())

    if counted(state.return_type):
        return False
    for what, signature in state.calltypes.items():
        if signature is None:
            continue
        if isinstance(what, ir.Expr):
            view = what.op in _VIEWS and not any(isinstance(each, types.Array) for each in signature.args[1:])
            if counted(signature.return_type) and not view:
                return False
        elif any(isinstance(each, types.Array) for each in signature.args[1:]):  # an array assigned to a slice may need another
            return False
    return True
