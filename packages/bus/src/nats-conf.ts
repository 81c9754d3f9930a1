/** ops/nats.conf as text. The committed file equals it; `bun run codegen` writes it anew. */
import type { UserName } from "@tyto/contracts";
import { users } from "@tyto/contracts";
import { permissionsOf } from "./permissions.ts";

/** One server: ops/nats.conf. */
export const renderNatsConf = (): string =>
  render(
    `# Give it the passwords in the environment, one NATS_<USER>_PASSWORD for each user below. A password must begin with a
# letter: nats-server reads a leading digit as a number. Flags win over this file:
#   nats-server -c ops/nats.conf -a 0.0.0.0 -p 4222 -sd /data -m 8222

server_name: tyto
`,
  );

/** One node of several: ops/nats-cluster.conf. */
export const renderNatsClusterConf = (): string =>
  render(
    `# For each node of a cluster. In the environment, besides the passwords of the users (see ops/nats.conf):
#   NATS_NODE              the node's own name, such as nats-1
#   NATS_ROUTES            all nodes: ["nats://node:PASSWORD@nats-1:6222", "nats://node:PASSWORD@nats-2:6222", ...]
#   NATS_CLUSTER_PASSWORD  the PASSWORD in it; only nodes use it
# Streams stand on three nodes when they were made with NATS_REPLICAS=3 (docs/operations.md).

server_name: $NATS_NODE
cluster {
  name: tyto
  listen: "0.0.0.0:6222"
  authorization {
    user: node
    password: $NATS_CLUSTER_PASSWORD
    timeout: 5
  }
  routes: $NATS_ROUTES
}
`,
  );

/** `head` names the server and says how to start it. */
function render(head: string): string {
  const services = (Object.keys(users) as UserName[]).map((name) => {
    const { publish, subscribe } = permissionsOf(name);
    return `    {
      user: ${name}
      password: ${passwordOf(name)}
      permissions: {
        publish: [
${lines(publish)}
        ]
        subscribe: [
${lines(subscribe)}
        ]
      }
    }`;
  });
  return `# nats-server (2.14 or newer) for Tyto. Generated from packages/contracts/src/users.ts (bun run codegen).
#
${head}host: "127.0.0.1"
port: 4222

# A body's part is at most half of it.
max_payload: 1MB
# A peer that hangs without closing its connection is let go after a minute.
ping_interval: "20s"
ping_max: 2

jetstream {
  # Accepted mail must survive a power cut. The server's default syncs every two minutes.
  sync_interval: always
  # Tyto keeps everything in files: a stream in memory is gone when the server restarts.
  max_memory_store: 64MB
  # Keep it below the size of the disk: at this limit new mail is refused with 503, on a full disk the
  # server stores nothing any more until it is started again.
  max_file_store: 50GB
}

authorization {
  timeout: 5
  users: [
    # Makes streams and durables at start; reads and retries dead letters.
    {
      user: admin
      password: ${passwordOf("admin")}
    }
    # For your own programs: hears every event of mail, of sending, of our addresses and every report as it happens, and can do nothing else.
    {
      user: subscriber
      password: ${passwordOf("subscriber")}
      permissions: {
        publish: { deny: [">"] }
        subscribe: { allow: ["mail.>", "report.>", "sending.>", "egress.>"] }
      }
    }
${services.join("\n")}
  ]
}
`;
}

const passwordOf = (user: string) => `$NATS_${user.toUpperCase()}_PASSWORD`;
const lines = (subjects: readonly string[]) => subjects.map((subject) => `          "${subject}"`).join("\n");
