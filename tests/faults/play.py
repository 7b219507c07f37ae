"""One fault under load, and what came of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.ledger import Audit
from tests.faults.load import Load
from tests.faults.stage import Stage, until
from tests.support import make_token

BACK_WITHIN = 2.0  # seconds from the moment when the cause is gone to the first success
BUSY = 2.0  # seconds more for tests, which share a machine with others: only the full form measures
SLACK = 3  # file descriptors that come and go by themselves


@dataclass(frozen=True)
class Fault:
    """``act`` plays it and returns the moment (monotonic) when its cause was gone."""

    name: str
    act: Callable[[Stage], Awaitable[float]]
    hangs_up: bool = False  # requests without an answer are part of it
    errors: frozenset[int] = frozenset({503})  # answers from 500 on that are right
    restarts: bool = False  # processes are replaced: their files cannot be compared
    # Whatever the service has begun it answers, so nothing is stored without an answer. What is sent on an idle
    # connection while that is being closed has not begun: HTTP has the client send it again (RFC 9112, 9.3.1).
    drains: bool = False
    token: Any = make_token
    health_within: float | None = None  # seconds; None: the fault may take them from it


@dataclass(frozen=True)
class Outcome:
    """What one line of the table says; ``findings`` are promises that did not hold."""

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
    """Load, the fault, load again; then look for what is lost, doubled or left behind."""
    lead, tail = (0.6, 1.0) if stage.brief else (2.0, 3.0)
    await stage.ready()
    async with Load(stage.url, token=fault.token) as load:
        await until(load.ledger.warm, 120)  # or the fault would be over before anybody has noticed it
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
