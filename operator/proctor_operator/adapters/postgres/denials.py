"""Denials of admission on PostgreSQL: see `ports.records` for what each call promises."""

# ruff: noqa: S608 - what is put into these texts are column names of this package

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proctor_operator.adapters.postgres.cleaning import (
    clean_name,
    clean_text,
    clip,
    from_json,
    to_json,
)
from proctor_operator.domain.admission import ReviewUid
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.adapters.postgres.pool import RecordPool
    from proctor_operator.ports.records import DenialFilter

    Connection = PoolConnectionProxy[asyncpg.Record]

MOST_DENIAL_BYTES: Final = 8192
_MOST_USERNAME_BYTES: Final = 4096

DENIAL_COLUMNS: Final = (
    "created_at",
    "review_uid",
    "operation",
    "resource",
    "namespace",
    "name",
    "proc_name",
    "requester_username",
    "requester_uid",
    "requester_groups",
    "reason",
    "message",
)
_COLUMNS: Final = ", ".join(DENIAL_COLUMNS)
_PLACES: Final = ", ".join(f"${place}" for place in range(1, len(DENIAL_COLUMNS) + 1))

# Told twice it has two times, so that the key alone would not see it. Ten minutes are more than any retry takes
# and clocks are apart; all of it is looked through, so it must not be longer where denials come in floods.
INSERT: Final = f"""
INSERT INTO proctor.denials ({_COLUMNS}) SELECT {_PLACES}
WHERE NOT EXISTS (
  SELECT FROM proctor.denials
  WHERE review_uid = $2 AND created_at > $1::timestamptz - interval '10 minutes'
    AND created_at < $1::timestamptz + interval '10 minutes'
)
ON CONFLICT (created_at, review_uid) DO NOTHING
"""


class PostgresDenials:
    """`DenialStore` and `DenialReader` over one pool."""

    def __init__(self, pool: RecordPool) -> None:
        self._pool = pool

    async def record_denial(self, denial: Denial) -> None:
        """Insert it; one of the same review that is there stays."""
        values = denial_values(denial)

        async def insert(connection: Connection) -> None:
            await connection.execute(INSERT, *values)

        await self._pool.run("record_denial", insert)

    async def list_denials(self, wanted: DenialFilter) -> tuple[Denial, ...]:
        """Denials that match, newest first."""
        compared = [
            (condition, value)
            for condition, value in (
                ("namespace =", wanted.namespace),
                ("proc_name =", wanted.proc_name),
                ("requester_username =", wanted.requester),
                ("created_at >=", wanted.denied_from),
                ("created_at <", wanted.denied_before),
            )
            if value is not None
        ]
        where = " AND ".join(f"{left} ${place}" for place, (left, _) in enumerate(compared, 1))
        statement = (
            f"SELECT {_COLUMNS} FROM proctor.denials {'WHERE ' + where if where else ''} "
            f"ORDER BY created_at DESC, review_uid LIMIT ${len(compared) + 1}"
        )

        async def read(connection: Connection) -> tuple[Denial, ...]:
            values = [clean_text(one) if isinstance(one, str) else one for _, one in compared]
            rows = await connection.fetch(statement, *values, wanted.limit)
            return tuple(_denial(row) for row in rows)

        return await self._pool.run("list_denials", read)


def denial_values(denial: Denial) -> tuple[Any, ...]:
    """Return the values of `DENIAL_COLUMNS`."""
    requester = denial.requester
    return (
        denial.denied_at,
        clean_name(denial.review),
        denial.operation,
        denial.resource,
        clean_name(denial.namespace),
        clean_name(denial.name),
        clean_name(denial.proc),
        clip(requester.username, _MOST_USERNAME_BYTES),
        clip(requester.uid, _MOST_USERNAME_BYTES),
        to_json(list(requester.groups)),
        clean_name(denial.reason),
        clip(denial.message, MOST_DENIAL_BYTES),
    )


def _denial(row: asyncpg.Record) -> Denial:
    return Denial(
        review=ReviewUid(row["review_uid"]),
        denied_at=row["created_at"],
        operation=row["operation"],
        resource=row["resource"],
        namespace=Namespace(row["namespace"]),
        name=row["name"],
        proc=row["proc_name"],
        requester=Requester(
            username=row["requester_username"],
            uid=row["requester_uid"],
            groups=tuple(from_json(row["requester_groups"])),
        ),
        reason=row["reason"],
        message=row["message"],
    )
