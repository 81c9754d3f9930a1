import { UserError } from "../functions/errors.ts";
import type { FunctionKind, RequestMetadata } from "../functions/frame.ts";
import type { Json } from "../values/wire.ts";
import type { Board } from "./board.ts";
import type { Refusals } from "./refusals.ts";

/** Looks on as functions begin and end. */
export type Guard = {
  /** Throws UserError when the call is refused for what it did before. The result is to be called at its end. */
  begin(
    kind: FunctionKind,
    component: string,
    path: string,
    args: Json,
    metadata: RequestMetadata,
  ): () => void;
  /** Other code is in place: what the old one did does not count any more. */
  forget(): void;
};

const nothing = () => {};
/** Where no other process watches, only the leash holds. */
export const NO_GUARD: Guard = { begin: () => nothing, forget: nothing };

/** Notes on the board what runs, for the process that watches this one. */
export function guardWith(board: Board, refusals: Refusals, forgotten: () => void): Guard {
  const endCall = () => board.endCall();
  return {
    begin(kind, component, path, args, { passage = -1 }) {
      const name = component === "" ? path : `${component}/${path}`;
      const hash = Bun.hash(`${name} ${JSON.stringify(args)}`).toString(36);
      const refused = refusals.reason(name, hash, Date.now());
      if (refused !== null) throw new UserError("FunctionRefused", refused);
      const doing = { kind, path: name, hash, passage };
      if (kind === "query" || kind === "mutation") {
        board.beginCall(doing);
        return endCall;
      }
      const place = board.beginAction(doing);
      return () => board.endAction(place);
    },
    forget() {
      refusals.clear();
      forgotten();
    },
  };
}
