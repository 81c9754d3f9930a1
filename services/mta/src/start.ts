import type { Log, Running } from "@tyto/service";
import { isTrialKey } from "./breakers/breakers.ts";
import type { Config } from "./config.ts";
import { createDeliveries } from "./deliver.ts";
import { startWayOut } from "./egress/way-out.ts";
import { hearFeedback } from "./feedback.ts";
import { createMetrics } from "./metrics.ts";
import { createAttempts } from "./parts/attempts.ts";
import { type Deliveries, startConsumption } from "./parts/consumption.ts";
import { startGates } from "./parts/gates.ts";
import { createOperation } from "./parts/operation.ts";
import { createSessions, type Sessions } from "./parts/sessions.ts";
import { startSharing } from "./parts/sharing.ts";
import { startSigning } from "./parts/signing.ts";
import { openStore } from "./parts/store.ts";
import { findSurroundings, smtpPort } from "./parts/surroundings.ts";
import { createTls } from "./parts/tls.ts";

/**
 * Starts the mta: its parts one after the other, each with those before it, and then it consumes. `url` is where health and
 * metrics are served. Throws Failure `upstream.down` when NATS cannot be reached.
 */
export async function start(config: Config, log: Log): Promise<Running & { url: string }> {
  const { surroundings, url, ready, beginStop, leave } = await findSurroundings(config, log);
  const { bus, resolver, registry, now, random } = surroundings;
  const store = openStore(surroundings);
  const signing = await startSigning(surroundings);
  const tls = createTls(surroundings, (policy, result) => metrics.tlsSessions.inc({ policy, result }));

  // What may leave, by which way, and how many at a time.
  const sharing = await startSharing(surroundings, (key) =>
    isTrialKey(key) ? gates.breakers.trialsUnderWay(key) : sessions.connectionsTo(key),
  );
  const gates = await startGates(surroundings, sharing);
  const wayOut = await startWayOut({
    ...{ bus, resolver, smtpPort, now, log },
    plan: config.egress,
    isStrict: config.isEgressStrict,
    poolFor: gates.rules.poolFor,
  });
  const control = createOperation(surroundings, {
    ...{ store, tls, gates, wayOut },
    sessions: () => sessions,
    isInHand: (id) => deliveries.isInHand(id),
  });
  const sessions: Sessions = createSessions(surroundings, {
    ...{ sharing, tls, limits: gates.shaping, transcript: control.transcript, tried: wayOut.tried },
  });
  const metrics = createMetrics(registry, bus.queue.depth, sessions.count);

  // One delivery: an attempt, its outcome, and who learns from it.
  const attempts = createAttempts(surroundings, {
    ...{ store, tls, gates, wayOut, control, sessions, signerOf: signing.signerOf },
  });
  const deliveries: Deliveries = createDeliveries({
    ...store,
    attempt: attempts.attempt,
    queue: (entry, atMs) => bus.queue.add([entry], atMs),
    see(observation) {
      gates.see(observation);
      control.see(observation);
      wayOut.see(observation);
    },
    seeNowhere: control.seeNowhere,
    seeAway: control.seeAway,
    giveUp: gates.giveUp,
    isWithheld: control.isWithheld,
    firstWaitMs: config.firstWaitMs,
    delayNoticeMs: config.delayNoticeMs,
    ...{ now, random, log, metrics },
  });

  const consumption = await startConsumption(surroundings, deliveries, store.isSuppressed);
  const feedback = await hearFeedback(bus, [gates.breakers.hear, wayOut.hear]);
  const policing = tls.run();
  const answering = control.answer();
  ready();

  return {
    url,
    async stop() {
      const consumed = consumption.stop();
      // What has not begun to send its message gives its entry back; what has, is finished.
      beginStop();
      await consumed;
      // What came back is over when those who learn from it have stored it.
      for (const part of [answering, signing, feedback, gates, wayOut, policing]) await part.stop();
      sessions.close();
      for (const part of [sharing, attempts]) await part.stop();
      await leave();
    },
  };
}
