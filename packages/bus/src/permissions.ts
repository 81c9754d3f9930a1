/**
 * What each user may publish and subscribe, derived from the contracts' table of users. Everything that is not listed
 * is refused by the server.
 */
import {
  answerPrefix,
  type BucketName,
  consumers,
  controlSubject,
  looks,
  streams,
  type UserName,
  type UserSpec,
  users,
} from "@tyto/contracts";
import { bucketPrefix, bucketStream } from "./bucket.ts";
import { deadSubject } from "./burial.ts";

/** What a cluster tells when a durable got a leader. */
export const leaderElected = (stream: string, durable: string): string =>
  `$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.${stream}.${durable}`;

export type Permissions = { publish: string[]; subscribe: string[] };

export function permissionsOf(name: UserName): Permissions {
  const spec: UserSpec = users[name];
  return {
    publish: [
      "$JS.API.INFO",
      ...spec.publishes,
      ...consuming(spec),
      ...spec.puts.flatMap((stream) => streams[stream].subjects),
      ...spec.writes.map((bucket) => `${bucketPrefix(bucket)}>`),
      ...spec.reads.flatMap((bucket) => directGet(bucketStream(bucket))),
      ...spec.gets.flatMap(directGet),
      ...spec.drops.flatMap((stream) => [
        `$JS.API.STREAM.PURGE.${stream}`,
        `$JS.API.STREAM.MSG.DELETE.${stream}`,
        `$JS.API.STREAM.INFO.${stream}`,
      ]),
      ...spec.looks.flatMap(looking),
      ...spec.asks.map(controlSubject),
      ...(spec.answers.length > 0 ? [`${answerPrefix}>`] : []),
    ],
    subscribe: [
      `_INBOX_${name}.>`,
      ...spec.reads.map((bucket: BucketName) => `${bucketPrefix(bucket)}>`),
      ...(spec.asks.length > 0 ? [`${answerPrefix}${name}.>`] : []),
      ...spec.consumes.flatMap((durable) => {
        const stream = consumers[durable]?.stream;
        return stream === undefined ? [] : [leaderElected(stream, durable)];
      }),
      ...spec.answers.map(controlSubject),
    ],
  };
}

/** By subject, by sequence, and (in a cluster) from the stream's leader. */
const directGet = (stream: string) => [
  `$JS.API.DIRECT.GET.${stream}.>`,
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`,
];

/** Begin somewhere, and pull. */
const looking = (stream: string) =>
  Object.entries(looks)
    .filter(([, look]) => look.stream === stream)
    .flatMap(([durable]) => [
      `$JS.API.CONSUMER.RESET.${stream}.${durable}`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
    ]);

/** Pull, acknowledge, look at and bury; one wildcard where all durables of a stream are this user's. */
function consuming(spec: UserSpec): string[] {
  const streamsConsumed = new Set(spec.consumes.flatMap((durable) => consumers[durable]?.stream ?? []));
  return [...streamsConsumed].flatMap((stream) => {
    const all = Object.keys(consumers).filter((durable) => consumers[durable]?.stream === stream);
    const own = all.filter((durable) => spec.consumes.includes(durable));
    const durables = own.length === all.length ? ["*"] : own;
    return durables.flatMap((durable) => [
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      `$JS.ACK.${stream}.${durable}.>`,
      deadSubject(stream, durable),
    ]);
  });
}
