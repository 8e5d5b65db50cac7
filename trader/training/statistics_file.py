"""Frozen normaliser statistics from a file: npz or JSON, or a VecNormalize pickle of a source that is trusted."""

import json
import pickle
from pathlib import Path

import numpy as np
from msgspec import Struct

from trader.errors import BundleError
from trader.policy.manifest import Normaliser
from trader.policy.tensors import Floats

FILE_BYTES_MAX = 1 << 24
KEYS = ("mean", "variance", "clip", "epsilon")


class Statistics(Struct, frozen=True, kw_only=True, eq=False):
    """Mean and variance [inputs] as float32, with the clip and epsilon that go with them."""

    mean: Floats
    variance: Floats
    normaliser: Normaliser


def read_statistics(path: Path, *, trust_pickle: bool = False) -> Statistics:
    """Read `mean`, `variance`, `clip` and `epsilon`; BundleError names file, fault and remedy.

    A `.pkl` runs code when it is read: it is refused unless `trust_pickle`.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise _refused(path, f"is larger than {FILE_BYTES_MAX} bytes")
        return _checked(_parsed(path, trust_pickle=trust_pickle), path)
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read ({error})") from error


def _parsed(path: Path, *, trust_pickle: bool) -> object:
    match path.suffix:
        case ".npz":
            return _from_npz(path)
        case ".json":
            return json.loads(path.read_bytes())
        case ".pkl":
            if trust_pickle:
                return _from_pickle(path)
            msg = (
                f"{path}: a pickle runs its author's code when it is read; pass --trust-pickle if it is your own, "
                "or save mean, variance, clip and epsilon as npz or JSON"
            )
            raise BundleError(msg)
        case _:
            raise _refused(path, f"has the ending {path.suffix!r}")


def _refused(path: Path, fault: str) -> BundleError:
    return BundleError(f"{path}: {fault}; an npz or JSON file with {', '.join(KEYS)} is expected")


def _from_npz(path: Path) -> dict[str, object]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _from_pickle(path: Path) -> dict[str, object]:
    """The statistics of a `VecNormalize`; the caller has decided to run what is in the file."""
    vector_normaliser = pickle.loads(path.read_bytes())  # noqa: S301 - only after --trust-pickle, and never in service
    return {
        "mean": vector_normaliser.obs_rms.mean,
        "variance": vector_normaliser.obs_rms.var,
        "clip": vector_normaliser.clip_obs,
        "epsilon": vector_normaliser.epsilon,
    }


def _checked(facts: object, path: Path) -> Statistics:
    if not isinstance(facts, dict) or set(facts) != set(KEYS):
        raise _refused(path, f"has {sorted(facts) if isinstance(facts, dict) else type(facts).__name__}")
    mean, variance = (np.asarray(facts[name], dtype=np.float64) for name in ("mean", "variance"))
    if mean.ndim != 1 or mean.shape != variance.shape:
        raise _refused(path, f"mean has shape {mean.shape} and variance {variance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all()):
        raise _refused(path, "has statistics that are not finite, or a variance below zero")
    normaliser = Normaliser(clip=float(facts["clip"]), epsilon=float(facts["epsilon"]))
    return Statistics(mean=mean.astype(np.float32), variance=variance.astype(np.float32), normaliser=normaliser)
