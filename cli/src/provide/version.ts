export type Version = readonly [major: number, minor: number, patch: number];

/** The first `1.2` or `1.2.3` in a text such as `nats-server: v2.15.1` or `ClamAV 1.4.3/27500/...`. */
export function parseVersion(text: string): Version | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

export function isAtLeast(version: Version, least: Version): boolean {
  for (const place of [0, 1, 2] as const)
    if (version[place] !== least[place]) return version[place] > least[place];
  return true;
}

export const formatVersion = (version: Version) => version.join(".");
