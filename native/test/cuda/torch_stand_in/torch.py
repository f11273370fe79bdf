"""Stands in for PyTorch and its device where torch_baseline.py is tested: all of it is there, nothing is computed, and whatever
lies between two events takes 0.24 milliseconds.

"""
import sys


class Anything:
    """A tensor, a function, a module: what is asked of it gives another."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments, **named):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __mul__(self, other):
        return self

    __add__ = __matmul__ = __mul__


class Torch(Anything):
    __version__ = "stand-in"
    __path__ = []

    def native_dropout(self, *arguments):
        return self, self


class Event(Anything):
    def elapsed_time(self, stop):
        return 0.24  # milliseconds


class Properties(Anything):
    L2_cache_size = 1 << 20


torch = Torch()
torch.cuda = Anything()
torch.cuda.Event = lambda **named: Event()
torch.cuda.get_device_properties = lambda device: Properties()
sys.modules[__name__] = torch
for name in ("nn", "nn.functional", "_functorch", "_functorch.config", "_dynamo", "_dynamo.config"):
    sys.modules[f"{__name__}.{name}"] = Anything()
