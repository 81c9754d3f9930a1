/**
 * One-shot of compose.yaml. Makes the secrets at the first start and hands each container only its own: every container
 * has a volume that nobody else mounts, and here all of them are mounted below one folder.
 */
import { chown, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serviceNames, serviceSecrets } from "../installation/parts.ts";
import { ensureSecrets, instanceName, publicJwks, type Secrets } from "../installation/secrets.ts";

const folder = "/run/tyto";
/** The user of every container but Convex, whose image needs root (without any capability). */
const user = 1000;

const { secrets, made } = await ensureSecrets(join(folder, "secrets/secrets.env"));

const shares: Record<string, { owner: number; variables: Record<string, string> }> = {
  nats: {
    owner: user,
    variables: Object.fromEntries(Object.entries(secrets).filter(([name]) => name.startsWith("NATS_"))),
  },
  convex: {
    owner: 0,
    variables: { INSTANCE_NAME: instanceName, INSTANCE_SECRET: secrets.INSTANCE_SECRET },
  },
  "convex-local": {
    owner: user,
    variables: {
      INSTANCE_NAME: instanceName,
      INSTANCE_SECRET: secrets.INSTANCE_SECRET,
      CONVEX_ADMIN_KEY: secrets.CONVEX_ADMIN_KEY,
    },
  },
  deploy: { owner: user, variables: deploymentShare(secrets) },
  ...Object.fromEntries(
    serviceNames.map((name) => [name, { owner: user, variables: serviceSecrets(name, secrets) }]),
  ),
};

for (const [name, { owner, variables }] of Object.entries(shares)) {
  const path = join(folder, name, "env");
  // Single quotes: one value holds a "|", and shells read the file too. No value holds a single quote.
  const text = Object.entries(variables)
    .map(([variable, value]) => `${variable}='${value}'\n`)
    .join("");
  await writeFile(`${path}.new`, text, { mode: 0o400 });
  await chown(`${path}.new`, owner, owner);
  await rename(`${path}.new`, path);
}
// One folder, or one for each node of a cluster.
for (const node of await readdir("/data")) await chown(join("/data", node), user, user);
console.log(made.length > 0 ? "secrets made" : "secrets were there already");

/** What the one-shot that deploys needs: it sets public keys, so it gets no private one. */
function deploymentShare(from: Secrets): Record<string, string> {
  return {
    NATS_ADMIN_PASSWORD: from.NATS_ADMIN_PASSWORD,
    MTA_WEBHOOK_SECRET: from.MTA_WEBHOOK_SECRET,
    GATEWAY_JWKS: publicJwks(from.GATEWAY_JWT_KEY),
    RECORDER_JWKS: publicJwks(from.RECORDER_JWT_KEY),
  };
}
