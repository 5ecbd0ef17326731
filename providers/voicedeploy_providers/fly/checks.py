"""What can stand in the way at Fly, seen before anything is done."""

from collections.abc import Collection

from voicedeploy import readiness
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy_providers.fly import udp
from voicedeploy_providers.fly.api import Regions
from voicedeploy_providers.fly.generation import Generation
from voicedeploy_providers.fly.options import Options
from voicedeploy_providers.fly.sizes import SIZES, SOURCE


def findings(
    spec: Spec, options: Options, generation: Generation, regions: Regions, secrets: Collection[str]
) -> list[Finding]:
    return [
        *_size(spec, generation),
        *_address(generation),
        *_regions(options, regions),
        *readiness.findings(spec, secrets),
    ]


def _size(spec: Spec, generation: Generation) -> list[Finding]:
    size, cpu = generation.size, spec.session.cpu
    carries = size.slots(cpu)
    if not carries:
        enough = next((s.name for s in sorted(SIZES.values(), key=lambda s: s.usd_per_month) if s.slots(cpu)), "")
        return [
            Finding(
                "VD401",
                "error",
                "size",
                f"{size.name} sustains {size.sustained:.2f} of a core, and a call takes {cpu:g}: Fly soon "
                f"slows it down and the sound breaks up ({SOURCE})",
                f'[provider.fly] size = "{enough}"' if enough else "lower session.cpu",
            )
        ]
    cost = generation.count * size.usd_per_month
    said = f"{generation.count} × {size.name}, {generation.slots} calls each; about ${cost:.0f} a month, calls or none"
    return [Finding("VD000", "ok", "size", said)]


def _address(generation: Generation) -> list[Finding]:
    said = f"a dedicated IPv4 address for UDP; {udp.COST} ({SOURCE})"
    return [Finding("VD000", "ok", "address", said)] if generation.udp else []


def _regions(options: Options, regions: Regions) -> list[Finding]:
    known = {region.code: region for region in regions.regions}
    wrong = [code for code in options.region if code not in known or known[code].deprecated]
    if wrong:
        there = ", ".join(sorted(code for code, region in known.items() if not region.deprecated))
        return [Finding("VD402", "error", "region", f"Fly has no region {', '.join(wrong)}", f"one of {there}")]
    where = ", ".join(options.region) or f"{regions.nearest}, the nearest from here"
    if options.spread and len(options.region) < 2:
        said = "spread = true, and there is one region"
        return [Finding("VD402", "error", "region", said, '[provider.fly] region = ["fra", "iad"]')]
    where += ", by turns" if options.spread else ""
    return [Finding("VD000", "ok", "region", where)]
