"""Every name the operator gives: groups, labels, annotations, children, environment variables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NewType

GROUP: Final = "proctor.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

PROCS: Final = "procs"
PROC_EXECUTIONS: Final = "procexecutions"
PROC_SCHEDULES: Final = "procschedules"
PROC_PLUGINS: Final = "procplugins"

RECORD_FINALIZER: Final = "proctor.dev/record"
"""On executions and their Jobs: neither vanishes before its end is in the record."""

MANAGED_LABEL: Final = "proctor.dev/managed"
EXECUTION_LABEL: Final = "proctor.dev/execution"
EXECUTION_UID_LABEL: Final = "proctor.dev/execution-uid"
EXECUTION_CREATED_ANNOTATION: Final = "proctor.dev/execution-created-at"
"""On Jobs: with the UID it finds the record of an execution whose object is gone."""

PROC_LABEL: Final = "proctor.dev/proc"
SHARD_LABEL: Final = "proctor.dev/shard"
SHARDS: Final = 16
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
"""On Jobs: the LocalQueue of Kueue that lets them start (kueue.sigs.k8s.io, "Run a Kubernetes Job")."""

GITOPS_LABELS: Final = frozenset(
    {
        "app.kubernetes.io/instance",
        "argocd.argoproj.io/instance",
        "kustomize.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/name",
    }
)
"""Labels by which GitOps tools know what they have applied.

Argo CD tracking by label: the default key, and the one its page gives as the custom key
(argo-cd.readthedocs.io, user-guide/resource_tracking). Flux: kustomize-controller and helm-controller
label all they apply with the name of their own object (fluxcd.io/flux/components).
"""

GITOPS_ANNOTATIONS: Final = frozenset(
    {"argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"}
)
"""The same as annotations: Argo CD's default from 3.0 on (the same page), and Helm, which refuses to
touch an object without its own (helm.sh, "invalid ownership metadata")."""

GIVE_UP_ANNOTATION: Final = "proctor.dev/give-up"
"""On an execution or Job that is being deleted: an admin's reason to let it go without its end recorded."""

READ_ANNOTATIONS: Final = GITOPS_ANNOTATIONS | {GIVE_UP_ANNOTATION}
"""Annotations of our objects that mean something to the operator; it keeps no others in memory."""

CONTAINER_NAME: Final = "proc"
"""The container that runs the automation; a podTemplate may name it to add to it."""

LABEL_VALUE_LIMIT: Final = 63

Namespace = NewType("Namespace", str)
Uid = NewType("Uid", str)

RESERVED_ENVIRONMENT: Final = (
    "PROCTOR_EXECUTION",
    "PROCTOR_EXECUTION_UID",
    "PROCTOR_NUMBER",
    "PROCTOR_PROC",
    "PROCTOR_NAMESPACE",
    "PROCTOR_REQUESTER",
    "PROCTOR_SCHEDULED_TIME",
)

PREDECESSOR_ENVIRONMENT: Final = (
    "EXECUTION_ID",
    "JOB_NAME",
    "EXECUTION_NAME",
    "USER_EMAIL",
    "IMAGE_TAG",
)
"""What gojek/proctor gave its containers; scripts written for it keep working."""

_REFUSED_EXACTLY: Final = frozenset({"PATH", "BASH_ENV", "NODE_OPTIONS", *PREDECESSOR_ENVIRONMENT})
_REFUSED_PREFIXES: Final = ("LD_", "PYTHON", "KUBERNETES_", "PROCTOR_")
_REFUSED_SUFFIXES: Final = ("_PROXY",)

_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def is_object_name(name: object) -> bool:
    """Whether it can name an object, as the kinds' schemas have it.

    A mutating webhook is asked before the schema is: what stands there could as well be a path.
    """
    return isinstance(name, str) and _OBJECT_NAME.fullmatch(name) is not None


def is_environment_name(name: str) -> bool:
    """Whether a shell can read the variable: letters, digits and `_`, not beginning with a digit."""
    return _ENVIRONMENT_NAME.fullmatch(name) is not None


def is_refused_environment_name(name: str) -> bool:
    """Whether a parameter or secret of this name could steer the loader, an interpreter or us."""
    upper = name.upper()
    return (
        upper in _REFUSED_EXACTLY
        or upper.startswith(_REFUSED_PREFIXES)
        or upper.endswith(_REFUSED_SUFFIXES)
    )


def job_name(execution_name: str, execution_uid: Uid) -> str:
    """Name of the one Job of an execution: the same on every try, so a second create collides.

    `<name, shortened>-<hash of the UID>`, at most 63 characters and a DNS-1123 label, because the
    Job controller copies it into a label and the pods' host names.
    """
    digest = hashlib.sha256(execution_uid.encode()).hexdigest()[:10]
    room = LABEL_VALUE_LIMIT - len(digest) - 1
    stem = re.sub(r"[^a-z0-9-]+", "-", execution_name.lower())[:room].strip("-")
    return f"{stem or 'execution'}-{digest}"


def occurrence_name(schedule_name: str, schedule_uid: Uid, instant: datetime) -> str:
    """Name of the one execution of a planned instant, so that a second start collides with the first.

    `<schedule, shortened>-<UTC to the minute>-<hash of UID and instant>`, at most 63 characters and a
    DNS-1123 label. The hash keeps a schedule that was deleted and made anew apart from its namesake.
    """
    moment = instant.astimezone(UTC)
    key = f"{schedule_uid}/{moment.isoformat()}"
    ending = f"{moment:%Y%m%d%H%M}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
    room = LABEL_VALUE_LIMIT - len(ending) - 1
    stem = re.sub(r"[^a-z0-9-]+", "-", schedule_name.lower())[:room].strip("-")
    return f"{stem or 'schedule'}-{ending}"


def shard_of(namespace: Namespace) -> str:
    """The shard of everything in a namespace: the same on every machine and in every release."""
    digest = hashlib.sha256(namespace.encode()).digest()
    return str(int.from_bytes(digest[:8], "big") % SHARDS)


def is_gitops_tracked(labels: Iterable[str], annotations: Iterable[str]) -> bool:
    """Whether a GitOps tool applied the object: it would put it back if it were gone."""
    return not (GITOPS_LABELS.isdisjoint(labels) and GITOPS_ANNOTATIONS.isdisjoint(annotations))


def label_value(text: str) -> str:
    """Return `text` where it is a valid label value, else a shortened form with a hash behind it."""
    if len(text) <= LABEL_VALUE_LIMIT and re.fullmatch(
        r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", text
    ):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[: LABEL_VALUE_LIMIT - len(digest) - 1]
    return f"{stem.strip('-._') or 'x'}-{digest}"
