/** How the network treats the call, from WebRTC's own statistics. */

export interface Quality {
  roundTripMs: number | null;
  jitterMs: number | null;
  packets: number;
  lost: number;
  /** In words: "direct, udp" or "relayed, tcp". */
  path: string | null;
}

interface InboundAudio {
  kind: string;
  packetsReceived?: number;
  packetsLost?: number;
  jitter?: number;
}
interface Candidate {
  candidateType: string;
  protocol: string;
}

export function quality(report: RTCStatsReport): Quality {
  const result: Quality = { roundTripMs: null, jitterMs: null, packets: 0, lost: 0, path: null };
  report.forEach((entry: { type: string }) => {
    if (entry.type === "inbound-rtp") {
      const inbound = entry as unknown as InboundAudio;
      if (inbound.kind !== "audio") return;
      result.packets = inbound.packetsReceived ?? 0;
      result.lost = Math.max(inbound.packetsLost ?? 0, 0);
      if (inbound.jitter !== undefined) result.jitterMs = inbound.jitter * 1000;
    } else if (entry.type === "candidate-pair") {
      const pair = entry as unknown as RTCIceCandidatePairStats;
      if (!pair.nominated || pair.state !== "succeeded") return;
      if (pair.currentRoundTripTime !== undefined) result.roundTripMs = pair.currentRoundTripTime * 1000;
      const local = report.get(pair.localCandidateId) as Candidate | undefined;
      const remote = report.get(pair.remoteCandidateId) as Candidate | undefined;
      if (!local || !remote) return;
      const relayed = local.candidateType === "relay" || remote.candidateType === "relay";
      result.path = `${relayed ? "relayed" : "direct"}, ${local.protocol}`;
    }
  });
  return result;
}
