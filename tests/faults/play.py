"""One fault under load, and its outcome."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.ledger import Audit
from tests.faults.load import Load
from tests.faults.stage import Stage, until
from tests.support import make_token

BACK_WITHIN = 2.0  # seconds from the end of the cause to the first success
BUSY = 2.0  # seconds in addition for tests, which share a machine with others: only the full form measures
SLACK = 3  # file descriptors that are opened and closed without a fault


@dataclass(frozen=True)
class Fault:
    """A fault. ``act`` causes it and returns the time (monotonic) when its cause was removed."""

    name: str
    act: Callable[[Stage], Awaitable[float]]
    hangs_up: bool = False  # requests without a response are part of it
    errors: frozenset[int] = frozenset({503})  # expected responses from 500 on
    restarts: bool = False  # processes are replaced: their files cannot be compared
    # The service responds to every request it has started, so nothing is stored without a response. A request sent on
    # an idle connection that is being closed has not started: by HTTP the client sends it again (RFC 9112, 9.3.1).
    drains: bool = False
    token: Any = make_token
    health_within: float | None = None  # seconds; None: the fault may delay them


@dataclass(frozen=True)
class Outcome:
    """One line of the table; ``findings`` are broken promises."""

    name: str
    rate: float
    audit: Audit
    outage: float
    slowest: float
    back: float
    unavailable: int
    other_errors: int
    unanswered: int
    findings: tuple[str, ...]


async def play(stage: Stage, fault: Fault) -> Outcome:
    """Runs load, the fault, and load again; then checks for lost and duplicate writes and for leaks."""
    lead, tail = (0.6, 1.0) if stage.brief else (2.0, 3.0)
    await stage.ready()
    async with Load(stage.url, token=fault.token) as load:
        await until(load.ledger.warm, 120)  # else the fault would be over before the load starts
        await asyncio.sleep(lead)
        files = stage.open_files()
        restored_at = await fault.act(stage)
        await asyncio.sleep(max(0.0, restored_at + tail - time.monotonic()))
    busy = await stage.calm()
    return await _judge(stage, fault, load, restored_at, files, busy)


async def _judge(stage: Stage, fault: Fault, load: Load, restored_at: float, files: int, busy: list[str]) -> Outcome:
    ledger = load.ledger
    connection = await stage.connect()
    try:
        audit = await ledger.audit(connection)
    finally:
        await connection.close()
    slowest = max((sample.took for sample in ledger.samples), default=0.0)
    back = ledger.first_success_after(restored_at)
    wrong = [s for s in ledger.samples if s.status >= 500 and s.status not in fault.errors]
    unanswered, may_hang_up = ledger.count(0), fault.hangs_up or fault.drains
    left = stage.open_files() - files
    findings = {
        f"{audit.acknowledged} acknowledged": audit.acknowledged == 0,
        f"{audit.lost} lost": audit.lost > 0,
        f"{audit.duplicated} duplicated": audit.duplicated > 0,
        f"{audit.invented} that nobody wrote": audit.invented > 0,
        f"numbers with gaps: {audit.gaps}": bool(audit.gaps),
        f"statuses {sorted({s.status for s in wrong})}": bool(wrong),
        "503 without Retry-After": any(s.status == 503 and not s.retry_after for s in ledger.samples),
        f"{unanswered} unanswered": unanswered > 0 and not may_hang_up,
        f"/health was {sorted(set(load.health) - {200})}": bool(
            set(load.health) - ({0, 200} if may_hang_up else {200})
        ),
        f"/health took {load.slowest_health:.2f} s": fault.health_within is not None
        and load.slowest_health > fault.health_within + (BUSY if stage.brief else 0),
        f"{audit.unanswered_but_stored} done without an answer": audit.unanswered_but_stored > 0 and fault.drains,
        f"an answer took {slowest:.1f} s": slowest > stage.limit + (BUSY if stage.brief else 0),
        f"back after {back:.1f} s": back > BACK_WITHIN + (BUSY if stage.brief else 0),
        f"still busy: {busy}": bool(busy),
        f"{left} files left open": left > SLACK and not fault.restarts,
        "a traceback in the log": "Traceback" in stage.service.log,
    }
    return Outcome(
        name=fault.name,
        rate=len(ledger.samples) / (load.ended_at - load.started_at),
        audit=audit,
        outage=ledger.longest_outage(),
        slowest=slowest,
        back=back,
        unavailable=ledger.count(503),
        other_errors=len([s for s in ledger.samples if s.status >= 500 and s.status != 503]),
        unanswered=unanswered,
        findings=tuple(text for text, found in findings.items() if found),
    )
