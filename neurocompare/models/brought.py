"""Users' own modules: made by a function named by an import path, or given as objects.

Only functions and classes written in Python are called, and none of the standard library: a study file is data, and
``os:abort`` in it must not end the program.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import nn

from neural_data.errors import CodeError, InputError, closest

__all__ = ["NamedTransform", "copied", "from_import_path", "named_transform", "unwrapped"]

_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def from_import_path(path: str) -> nn.Module:
    """The module that a callable returns.

    Parameters
    ----------
    path : str
        ``package.module:callable``; packages are also searched in the current folder. The callable is called without
        arguments. If the path names a ``torch.nn.Module`` instead, the module is copied.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InputError
        If the import fails, there is no such callable, it needs arguments, it raises, or returns something else.
    """
    where = f"model '{path}'"
    make = _found(path, where=where, wanted="must return a torch.nn.Module")
    if isinstance(make, nn.Module):
        return copied(make)
    if not callable(make):
        raise InputError(f"{where} is a {type(make).__name__}; name a callable that returns a torch.nn.Module")
    if not _is_written_in_python(make):
        raise InputError(f"{where} is not a Python function or class; name one that returns a torch.nn.Module")
    try:
        inspect.signature(make).bind()
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} cannot be called without arguments ({error}); wrap it in a function") from error
    try:
        made = make()
    except (Exception, SystemExit) as error:
        raise CodeError(
            f"{where} could not be made here ({_reason(error)}); does it need a device, a file or a package?"
        ) from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{where} gives a {type(made).__name__}; it must return a torch.nn.Module")
    return made


@dataclass(frozen=True)
class NamedTransform:
    """A transform of images named by an import path; its ``repr`` is the same in every run.

    Parameters
    ----------
    path : str
        ``package.module:callable``; the callable takes a ``PIL.Image.Image``.
    """

    path: str

    @property
    def module(self) -> str:
        """Name of the Python module that holds it."""
        return self.path.partition(":")[0]

    def __call__(self, image: Image.Image) -> object:
        """Result of the named callable for an image."""
        return _callable_at(self.path)(image)


def named_transform(path: str) -> NamedTransform:
    """A transform of images by its import path, ``package.module:callable``.

    Raises
    ------
    InputError
        If it cannot be imported or is not callable.
    """
    _callable_at(path)
    return NamedTransform(path)


@functools.lru_cache(maxsize=8)
def _callable_at(path: str) -> Callable[[Image.Image], object]:
    where = f"transform '{path}'"
    transform = _found(path, where=where, wanted="takes an image")
    if not callable(transform) or isinstance(transform, type):
        raise InputError(f"{where} is a {type(transform).__name__}; name a function that takes a PIL image")
    return transform


def copied(module: nn.Module) -> nn.Module:
    """A copy of a module, so that the user's own module is not changed.

    Raises
    ------
    InputError
        If it holds something that cannot be copied.
    """
    # Tensors computed from parameters, such as those of older weight normalisation, cannot be copied directly.
    memo = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and value.grad_fn is not None
    }
    try:
        return copy.deepcopy(module, memo)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{type(module).__name__} cannot be copied ({_reason(error)}); write a function that makes it and give "
            "its import path ('package.module:function')"
        ) from error


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside a wrapper (DataParallel, torch.compile), so that layers have their own names."""
    while True:
        if isinstance(module, _PARALLEL):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


def _found(path: str, *, where: str, wanted: str) -> object:
    """The object that an import path names."""
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise InputError(f"{where} is not an import path; write 'package.module:callable'")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(f"{where} is part of Python itself; name a callable that {wanted}")
    sys.path.insert(0, "")
    try:
        container = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise CodeError(
            f"{where} cannot be imported ({_reason(error)}); run from the folder that contains the package"
        ) from error
    finally:
        sys.path.remove("")
    if not hasattr(container, attribute):
        raise InputError(f"{where}: {module_name} has no {attribute!r}: {closest(attribute, dir(container))}")
    return getattr(container, attribute)


def _is_written_in_python(make: object) -> bool:
    while isinstance(make, (functools.partial, types.MethodType)):
        make = make.func if isinstance(make, functools.partial) else make.__func__
    if isinstance(make, type):
        return isinstance(inspect.getattr_static(make, "__init__"), types.FunctionType)
    methods = (vars(base).get("__call__") for base in type(make).__mro__)
    return isinstance(make, types.FunctionType) or any(isinstance(method, types.FunctionType) for method in methods)


def _reason(error: BaseException) -> str:
    """Exception raised by a user's code, and its place in that code."""
    text = str(error).splitlines()[0] if str(error) else ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    last = frames[-1] if frames else None
    at = "" if last is None or last.filename == __file__ else f", line {last.lineno} of {last.filename}"
    kind = "" if isinstance(error, (ImportError, SyntaxError, RuntimeError)) else f"{type(error).__name__}: "
    return f"{kind}{text}{at}" if text else f"{type(error).__name__}{at}"
