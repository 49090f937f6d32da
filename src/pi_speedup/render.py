"""The report for people: Markdown for report.md, a few lines for the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

from pi_speedup.host_checks import throttled_words
from pi_speedup.host_state import Host, HostState
from pi_speedup.plain import one_line
from pi_speedup.report import Comparison, Measurement, Report

# The width of the terminal's table.
TABLE_COLUMNS = 100

_BASIS = {"compute": "compute", "end_to_end": "end to end"}


def terminal_table(report: Report) -> tuple[str, ...]:
    """Return lines of at most 100 columns, without trailing blanks: figures first, then flags."""
    run = report.run
    pis = len(run.pis)
    lines = [
        f"pi-speedup {run.run_id}: {_pis(pis)}, {run.samples_per_pod:,} samples a pod, engine {run.engine}"
    ]
    if report.caveat is not None:
        lines.append(f"NOTE {report.caveat}")
    lines.append("")
    row = "{:<8}{:<12}{:>24}  {:>10}  {:>9}  {:>10}  {:>15}"
    lines.append(
        row.format(
            "scaling", "measured", "base case (one Pi)", _pis(pis), "speedup", "efficiency", "samples/s"
        )
    )
    for comparison in report.comparisons:
        base = comparison.base_case
        where = one_line(base.host or "", 24 - 1 - len(" on ") - len(_seconds(base.seconds)))
        lines.append(
            row.format(
                comparison.scaling,
                _BASIS[comparison.basis],
                f"{_seconds(base.seconds)} on {where}",
                _seconds(comparison.parallel.seconds),
                f"{comparison.speedup:.2f}",
                f"{comparison.efficiency:.1%}",
                f"{comparison.parallel.samples_per_second:,.0f}",
            )
        )
    lines.append("")
    lines.append(f"merged pi {_pi_text(report)}")
    flags = f"{len(report.flags)} of {len(report.checks)} checks flagged"
    lines.append(f"{flags}; each side measured once, so no confidence interval")
    lines = [_fitted(line) for line in lines]
    for flag in report.flags:
        # Wrapped, not cut: the figures that speak against the result stand at the end of the sentence.
        lines += textwrap.wrap(
            f"{flag.code}: {flag.text}", TABLE_COLUMNS, initial_indent="  FLAG ", subsequent_indent=" " * 7
        )
    return tuple(lines)


def markdown(report: Report) -> str:
    """Return report.md; text that came from a cluster or a log is escaped, so that it cannot add markup."""
    sections = (
        _head(report),
        _speedup_section(report),
        _checks_section(report),
        _pods_section(report),
        _baselines_section(report),
        _pi_section(report),
        _nodes_section(report),
        _hosts_section(report),
        _reading_section(report),
    )
    return "\n\n".join(sections) + "\n"


def escape_markdown(text: object) -> str:
    """Return text as one line in which no character works as Markdown or HTML, nor as an automatic link."""
    line = re.sub(r"([\\`*_\[\]<>|~#!&])", r"\\\1", one_line(text))
    # GitHub links bare addresses and calls people by an @.
    line = re.sub(r"(?i)\b(https?|ftp)://", r"\1&#58;//", line)
    return re.sub(r"(?i)\bwww\.", "www&#46;", line).replace("@", "&#64;")


def _head(report: Report) -> str:
    run = report.run
    lines = [f"# Speedup of {_pis(len(run.pis))}", ""]
    if report.caveat is not None:
        lines += [_caveat(report), ""]
    lines += [_headline(report), "", escape_markdown(report.verdict.text), ""]
    lines.append(
        f"Run {escape_markdown(run.run_id)}, started {escape_markdown(run.started_at)}; "
        f"{run.samples_per_pod:,} samples in each of {len(run.pis)} pods, "
        f"engine {escape_markdown(run.engine)}; "
        f"report by {report.tool.name} {report.tool.version}."
    )
    return "\n".join(lines)


def _headline(report: Report) -> str:
    first = report.comparisons[0]
    label = f" ({escape_markdown(report.caveat)})" if report.caveat is not None else ""
    host, together = escape_markdown(first.base_case.host), _pis(first.parallel.pis)
    if first.scaling == "strong":
        text = (
            f"**{together} did the same work {first.speedup:.2f} times as fast as {host} alone**{label}: "
            f"{_seconds(first.base_case.seconds)} alone, {_seconds(first.parallel.seconds)} together, "
            "computing only."
        )
    else:
        text = (
            f"**{together} did {first.speedup:.2f} times as much per second as {host} alone**{label}: "
            f"{first.base_case.samples:,} samples in {_seconds(first.base_case.seconds)} alone, "
            f"{first.parallel.samples:,} in {_seconds(first.parallel.seconds)} together, computing only."
        )
    whole = [c for c in report.comparisons if c.scaling == first.scaling and c.basis == "end_to_end"]
    if whole:
        text += (
            f" From command to result, with all that Kubernetes and the container runtime add, "
            f"the factor is {whole[0].speedup:.2f}."
        )
    return text


def _speedup_section(report: Report) -> str:
    pis = _pis(len(report.run.pis))
    return _section(
        report,
        "Speedup",
        _table(
            (
                "Scaling",
                "Measured",
                "Base case: one Pi",
                "Its samples",
                f"{pis} together",
                "Their samples",
                "Speedup",
                "Efficiency",
                "Samples/s, one Pi",
                f"Samples/s, {pis}",
            ),
            [_comparison_row(comparison) for comparison in report.comparisons],
        ),
    )


def _comparison_row(comparison: Comparison) -> tuple[str, ...]:
    base, parallel = comparison.base_case, comparison.parallel
    return (
        comparison.scaling,
        _BASIS[comparison.basis],
        f"{_seconds(base.seconds)} on {escape_markdown(base.host)} ({base.runtime})",
        f"{base.samples:,}",
        _seconds(parallel.seconds),
        f"{parallel.samples:,}",
        f"{comparison.speedup:.2f}",
        f"{comparison.efficiency:.1%}",
        f"{base.samples_per_second:,.0f}",
        f"{parallel.samples_per_second:,.0f}",
    )


def _checks_section(report: Report) -> str:
    words = {"pass": "pass", "flag": "**FLAG**", "unknown": "unknown"}
    return _section(
        report,
        "Can I believe these numbers?",
        escape_markdown(report.verdict.text)
        + "\n\n"
        + _table(
            ("Check", "Result", "Found", "Code"),
            [
                (check.title, words[check.status], escape_markdown(check.text), f"`{check.code}`")
                for check in report.checks
            ],
        ),
    )


def _pods_section(report: Report) -> str:
    spread = report.job.pod_duration_seconds
    deviation = "none, it is a single pod" if spread.stddev is None else _seconds(spread.stddev)
    summary = (
        f"Makespan (last finish - first start): {_seconds(report.job.makespan_seconds)}. Pod durations: "
        f"mean {_seconds(spread.mean)}, standard deviation {deviation}, "
        f"{_seconds(spread.minimum)} to {_seconds(spread.maximum)}."
    )
    head = ("Pod", "Pi", "Start", "Duration", "CPU time", "Cores used", "Samples/s", "Pi estimate", "z")
    rows = [
        (
            str(pod.completion_index),
            escape_markdown(pod.host),
            f"+{pod.start_offset_seconds or 0:.2f} s",
            *_measured(pod),
        )
        for pod in report.pods
    ]
    return _section(report, "The pods, one on each Pi", f"{summary}\n\n{_table(head, rows)}")


def _baselines_section(report: Report) -> str:
    head = (
        "Scaling",
        "Pi",
        "Run by",
        "Whole command",
        "Duration",
        "CPU time",
        "Cores used",
        "Samples/s",
        "Pi estimate",
        "z",
    )
    rows = [
        (
            str(baseline.scaling),
            escape_markdown(baseline.host),
            baseline.runtime,
            "not recorded" if baseline.wall_seconds is None else _seconds(baseline.wall_seconds),
            *_measured(baseline),
        )
        for baseline in report.baselines
    ]
    software = _software((*report.pods, *report.baselines))
    return _section(report, "The base case, one Pi alone", f"{_table(head, rows)}\n\n{software}")


def _measured(measurement: Measurement) -> tuple[str, ...]:
    z_score = measurement.pi.z_score
    limit = measurement.cpu_limit_cores
    return (
        _seconds(measurement.duration_seconds),
        _seconds(measurement.cpu_seconds),
        f"{measurement.cpu_cores_used:.2f}" + ("" if limit is None else f" of {limit:g}"),
        f"{measurement.samples_per_second:,.0f}",
        f"{measurement.pi.estimate:.6f}",
        "" if z_score is None else f"{z_score:+.2f}",
    )


def _software(measurements: Iterable[Measurement]) -> str:
    found = {
        "Image": sorted({m.image or "none" for m in measurements}),
        "Python": sorted({f"{m.python_implementation} {m.python_version}" for m in measurements}),
        "machine": sorted({m.machine for m in measurements}),
    }
    return "; ".join(f"{what} {escape_markdown(', '.join(names))}" for what, names in found.items()) + "."


def _pi_section(report: Report) -> str:
    return _section(
        report,
        "Estimate of pi",
        f"Merged from the counts of all pods: {_pi_text(report)}. The standard error assumes independent "
        "samples; z is the distance from pi in standard errors, and within 2 in 19 of 20 runs.",
    )


def _pi_text(report: Report) -> str:
    pi = report.pi
    if pi.standard_error is None or pi.z_score is None:
        return f"{pi.estimate:.6f}, samples not independent: no standard error ({pi.samples:,} samples)"
    return f"{pi.estimate:.6f} +/- {pi.standard_error:.6f} (z = {pi.z_score:+.2f}, {pi.samples:,} samples)"


def _nodes_section(report: Report) -> str:
    head = ("Pi", "Architecture", "System", "Kernel", "Kubelet", "Container runtime", "CPUs", "Memory")
    rows = [
        tuple(
            "unknown" if value is None else escape_markdown(value)
            for value in (
                node.name,
                node.architecture,
                node.os_image,
                node.kernel_version,
                node.kubelet_version,
                node.container_runtime,
                node.cpu,
                node.memory,
            )
        )
        for node in report.nodes
    ]
    text = _table(head, rows)
    if report.not_in_inventory:
        names = ", ".join(escape_markdown(name) for name in report.not_in_inventory)
        text += f"\n\nIn the cluster but not in the inventory, so not measured: {names}."
    return f"## The Pis\n\n{text}"


def _hosts_section(report: Report) -> str:
    if not report.hosts:
        return "## The Pis before and after\n\nNot looked at: `benchmark_host_checks` is false."
    head = ("Pi", "Model", "Kernel", "Temperature", "Governor", "Clock offset", "Throttled")
    text = _table(head, [_host_row(host) for host in report.hosts])
    return (
        f"## The Pis before and after\n\n{text}\n\n"
        "An arrow leads from before the run to after it. The clock offset is against the control host, with "
        "its uncertainty."
    )


def _host_row(host: Host) -> tuple[str, ...]:
    state = host.before or host.after
    governors = ", ".join(state.governors) if state is not None else ""
    return (
        escape_markdown(host.name),
        escape_markdown((state and state.model) or "unknown"),
        escape_markdown((state and state.kernel) or "unknown"),
        _before_after(host, _temperature),
        escape_markdown(governors or "unknown"),
        _before_after(host, _clock_offset),
        _throttling(host),
    )


def _before_after(host: Host, value: Callable[[HostState], str | None]) -> str:
    before, after = ((state and value(state)) or "unknown" for state in (host.before, host.after))
    return before if before == after else f"{before} \N{RIGHTWARDS ARROW} {after}"


def _temperature(state: HostState) -> str | None:
    return None if state.temperature_celsius is None else f"{state.temperature_celsius:.1f} \N{DEGREE SIGN}C"


def _clock_offset(state: HostState) -> str:
    return f"{state.clock_offset_seconds:+.2f} s \N{PLUS-MINUS SIGN} {state.clock_uncertainty_seconds:.2f} s"


def _throttling(host: Host) -> str:
    words = throttled_words(host.before, host.after)
    if words:
        return f"**{escape_markdown('; '.join(words))}**"
    told = [state is not None and state.throttled is not None for state in (host.before, host.after)]
    return "no" if all(told) else "unknown"


def _reading_section(report: Report) -> str:
    definitions = "\n".join(
        f"- **{comparison.scaling}, {_BASIS[comparison.basis]}**: {escape_markdown(comparison.definition)}."
        for comparison in report.comparisons
    )
    return (
        "## How to read this\n\n"
        "- **Strong scaling** gives one Pi all the samples and then spreads the same samples over all Pis: "
        "how much sooner is the same work done? (Amdahl 1967)\n"
        "- **Weak scaling** gives each Pi as many samples as one Pi had alone: how much more work is done in "
        "the same time? (Gustafson 1988)\n"
        "- **Efficiency** of 100 % means that every Pi was used to the full; the rest was lost to waiting.\n"
        "- **Compute** counts from the first worker's start to the last one's finish and leaves out what "
        "starting takes; **end to end** is what a person waits for. Short runs look bad end to end: "
        "Kubernetes costs seconds however small the work.\n"
        "- A **flag** doesn't forbid the figure; it names a reason not to trust it.\n"
        "- Each side was **measured once**: run it again to see how much the figures move.\n"
        f"{definitions}"
    )


def _section(report: Report, title: str, text: str) -> str:
    # A table is copied out of a report without the rest: the label goes with each.
    label = f"{_caveat(report)}\n\n" if report.caveat is not None else ""
    return f"## {title}\n\n{label}{text}"


def _caveat(report: Report) -> str:
    return f"> **{escape_markdown(report.caveat)}**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pis(count: int) -> str:
    return "1 Pi" if count == 1 else f"{count} Pis"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds:.2g} s"


def _fitted(line: str) -> str:
    # Layout has runs of blanks, which one_line would join: it serves for what is harmful only.
    safe = line if line.isprintable() else one_line(line, TABLE_COLUMNS)
    if len(safe) > TABLE_COLUMNS:
        safe = safe[: TABLE_COLUMNS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return safe.rstrip()
