/** Calls to Convex functions with the gateway's service token. */
import { type ErrorCode, errors, Failure } from "@tyto/contracts";
import { ConvexHttpClient } from "convex/browser";
import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";
import { ConvexError } from "convex/values";

const callMsMax = 8_000;
/** Convex's own status for a function that threw; the body says what. */
const functionFailedStatus = 560;

export type Convex = {
  query<F extends FunctionReference<"query">>(fn: F, args: FunctionArgs<F>): Promise<FunctionReturnType<F>>;
  mutation<F extends FunctionReference<"mutation">>(
    fn: F,
    args: FunctionArgs<F>,
  ): Promise<FunctionReturnType<F>>;
};

/** Both throw the Failure that the function named, or `upstream.down` when Convex cannot be reached. */
export function createConvex(url: string, serviceToken: () => Promise<string>): Convex {
  const client = new ConvexHttpClient(url, {
    skipConvexDeploymentUrlCheck: true,
    logger: false,
    fetch: Object.assign(
      async (input: string | URL | Request, init?: RequestInit) => {
        const response = await fetch(input, { ...init, signal: AbortSignal.timeout(callMsMax) }).catch(
          (error: unknown) => {
            throw new Failure("upstream.down", `Convex: ${String(error)}`, { cause: error });
          },
        );
        if (response.status >= 500 && response.status !== functionFailedStatus)
          throw new Failure("upstream.down", `Convex: ${response.status} ${await response.text()}`);
        return response;
      },
      { preconnect: fetch.preconnect },
    ),
  });
  const call = async <R>(run: () => Promise<R>): Promise<R> => {
    client.setAuth(await serviceToken());
    try {
      return await run();
    } catch (error) {
      throw asFailure(error);
    }
  };
  return {
    query: (fn, args) => call(() => client.query(fn, args)),
    // Side by side: the client would otherwise run one mutation after the other.
    mutation: (fn, args) => call(() => client.mutation(fn, args, { skipQueue: true })),
  };
}

/** What a call to Convex threw, as the failure that the function named. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ConvexError) {
    const { code, hint } = (error.data ?? {}) as { code?: string; hint?: string };
    // Our own token was refused: nothing that the caller could mend.
    const isOurs = code === "request.unauthenticated" || code === "request.forbidden";
    if (code !== undefined && Object.hasOwn(errors, code) && !isOurs)
      return new Failure(code as ErrorCode, `Convex: ${code}`, {
        cause: error,
        ...(hint === undefined ? {} : { hint }),
      });
  }
  return new Failure("internal", `Convex: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
