/** The last so many messages of one sender: how many of them were for nobody, and how many were complained about. */
export type Block = { sent: number; bounced: number; complained: number };
/** Blocks, the newest last; `total` is their sum, at most `sentMax` messages. */
export type Window = { sentMax: number; blocks: Block[]; total: Block };

export type Fate = "delivered" | "bounced" | "complained";

/** Blocks of a window: the oldest tenth is forgotten at a time, so that a window of thousands costs ten numbers. */
const blocksMax = 10;

export const empty = (): Block => ({ sent: 0, bounced: 0, complained: 0 });

export function newWindow(sentMax: number, blocks: readonly Block[] = []): Window {
  const window: Window = { sentMax, blocks: blocks.map((block) => ({ ...block })), total: empty() };
  for (const block of blocks) move(window.total, block, 1);
  return window;
}

/** A complaint is about a message that was counted as sent before; it counts where it comes in. */
export function add(window: Window, fate: Fate): void {
  let block = window.blocks.at(-1);
  if (block === undefined || (fate !== "complained" && block.sent >= window.sentMax / blocksMax)) {
    block = empty();
    window.blocks.push(block);
    const oldest = window.blocks.length > blocksMax ? window.blocks.shift() : undefined;
    if (oldest !== undefined) move(window.total, oldest, -1);
  }
  tally(block, fate);
  tally(window.total, fate);
}

/** Counts one more. */
export function tally(block: Block, fate: Fate): void {
  move(block, fate === "complained" ? complaint : fate === "bounced" ? bounce : delivery, 1);
}

/** Adds what another process counted meanwhile, evenly spread: in which order it came nobody knows. */
export function addAll(window: Window, { sent, bounced, complained }: Block): void {
  for (let n = 1; n <= sent; n++) {
    const isBounce = Math.floor((bounced * n) / sent) > Math.floor((bounced * (n - 1)) / sent);
    add(window, isBounce ? "bounced" : "delivered");
  }
  for (let n = 0; n < complained; n++) add(window, "complained");
}

const delivery: Block = { sent: 1, bounced: 0, complained: 0 };
const bounce: Block = { sent: 1, bounced: 1, complained: 0 };
const complaint: Block = { sent: 0, bounced: 0, complained: 1 };

function move(to: Block, { sent, bounced, complained }: Block, sign: 1 | -1): void {
  to.sent += sign * sent;
  to.bounced += sign * bounced;
  to.complained += sign * complained;
}
