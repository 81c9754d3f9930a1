import { z } from "zod";
import { AnyJson, type Json } from "../values/wire.ts";

const Count = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 32 - 1);
const Args = z.array(AnyJson).max(1);

const Add = z.object({
  type: z.literal("Add"),
  queryId: Count,
  udfPath: z.string(),
  args: Args,
  journal: z.string().nullish(),
  componentPath: z.string().nullish(),
});
const Remove = z.object({ type: z.literal("Remove"), queryId: Count });

const request = { requestId: Count, udfPath: z.string(), args: Args, componentPath: z.string().nullish() };
const authenticate = { type: z.literal("Authenticate"), baseVersion: Count };

/** What a client sends. */
export const ClientMessage = z.union([
  z.object({
    type: z.literal("Connect"),
    sessionId: z.uuid(),
    connectionCount: Count,
    lastCloseReason: z.string().nullish(),
    maxObservedTimestamp: z.string().nullish(),
    /** Milliseconds since 1970 by the client's clock. */
    clientTs: z.number().optional(),
  }),
  z.object({
    type: z.literal("ModifyQuerySet"),
    baseVersion: Count,
    newVersion: Count,
    modifications: z.array(z.discriminatedUnion("type", [Add, Remove])),
  }),
  z.object({ type: z.literal("Mutation"), ...request }),
  z.object({ type: z.literal("Action"), ...request }),
  z.object({ ...authenticate, tokenType: z.literal("User"), value: z.string() }),
  z.object({
    ...authenticate,
    tokenType: z.literal("Admin"),
    value: z.string(),
    impersonating: z.unknown().optional(),
  }),
  z.object({ ...authenticate, tokenType: z.literal("None") }),
  z.object({ type: z.literal("Event") }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;
export type AddQuery = z.infer<typeof Add>;

/** What the client has seen: its query set, its identity, and the moment of the data. */
export type StateVersion = { querySet: number; identity: number; ts: string };

/** What the server sends, Transitions aside, whose text is put together from the texts of results. */
export type ServerMessage =
  | { type: "TransitionChunk"; chunk: string; partNumber: number; totalParts: number; transitionId: string }
  | {
      type: "MutationResponse";
      requestId: number;
      success: true;
      result: Json;
      ts: string;
      logLines: string[];
    }
  | { type: "ActionResponse"; requestId: number; success: true; result: Json; logLines: string[] }
  | {
      type: "MutationResponse" | "ActionResponse";
      requestId: number;
      success: false;
      result: string;
      errorData?: Json;
      logLines: string[];
    }
  | { type: "AuthError"; error: string; baseVersion: number; authUpdateAttempted: boolean }
  | { type: "FatalError"; error: string }
  | { type: "Ping" };

/** A message that the server cannot go on after; the client is told why and the socket closed. */
export class ProtocolError extends Error {}

/** Throws ProtocolError for anything that is no client message. */
export function parseClientMessage(text: string): ClientMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError(`The message is not JSON: ${(error as Error).message}`);
  }
  const parsed = ClientMessage.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ProtocolError(`The message is malformed: ${z.prettifyError(parsed.error)}`);
}
