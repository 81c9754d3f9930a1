/**
 * Large messages are read in turns. A socket that may read holds a megabyte in memory at any time, so that what two hundred
 * fast senders hold would grow with their number; with turns it does not, and short messages pass by.
 */
import { places } from "@tyto/service";
import type { SMTPConnection } from "smtp-server/lib/smtp-connection.js";

/** Messages beyond this wait for their turn. */
const largeBytesMin = 262_144;
const turnBytesMax = 4_194_304;
/** A slow sender's turn ends by time: it is not the one who fills the memory. */
const turnMsMax = 250;
const turnsAtOnceMax = 12;

export function createTurns() {
  const turns = places(turnsAtOnceMax);

  /** The chunks of a message as they come, in turns once it is large. */
  return async function* inTurns(
    stream: AsyncIterable<Buffer>,
    connection: SMTPConnection,
  ): AsyncGenerator<Buffer> {
    let bytes = 0;
    let turnBytes = 0;
    let end: (() => void) | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const endTurn = () => {
      clearTimeout(timer);
      end?.();
      end = undefined;
    };
    try {
      for await (const chunk of stream) {
        bytes += chunk.length;
        turnBytes += chunk.length;
        const isOver = bytes >= largeBytesMin && (end === undefined || turnBytes >= turnBytesMax);
        // Before the chunk is dealt with: meanwhile the next ones would be read.
        const resume = isOver ? pause(connection) : undefined;
        yield chunk;
        if (resume === undefined) continue;
        endTurn();
        end = await turns.take();
        resume();
        turnBytes = 0;
        timer = setTimeout(endTurn, turnMsMax);
      }
    } finally {
      endTurn();
    }
  };
}

/** Takes the socket off its parser, which stops the reading from the network; the result puts it back. */
function pause(connection: SMTPConnection): () => void {
  const { _socket: socket, _parser: parser } = connection;
  if (parser === false) return () => {};
  socket.unpipe(parser);
  socket.pause();
  // The last bytes are a view of all that was read with them.
  if (parser._lastBytes !== false) parser._lastBytes = Buffer.from(parser._lastBytes);
  return () => {
    if (!socket.destroyed && connection._parser === parser) socket.pipe(parser);
  };
}
