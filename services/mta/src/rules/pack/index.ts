import type { ShippedRule } from "../rule.ts";
import { rules as anybody } from "./anybody.ts";
import { rules as apple } from "./apple.ts";
import { rules as att } from "./att.ts";
import { rules as barracuda } from "./barracuda.ts";
import { rules as blockLists } from "./block-lists.ts";
import { rules as charter } from "./charter.ts";
import { rules as cisco } from "./cisco.ts";
import { rules as comcast } from "./comcast.ts";
import { rules as cox } from "./cox.ts";
import { rules as free } from "./free.ts";
import { rules as google } from "./google.ts";
import { rules as laposte } from "./laposte.ts";
import { rules as libero } from "./libero.ts";
import { rules as mailRu } from "./mail-ru.ts";
import { rules as microsoft } from "./microsoft.ts";
import { rules as mimecast } from "./mimecast.ts";
import { rules as netease } from "./netease.ts";
import { rules as orange } from "./orange.ts";
import { rules as proofpoint } from "./proofpoint.ts";
import { rules as qq } from "./qq.ts";
import { rules as tOnline } from "./t-online.ts";
import { rules as unitedInternet } from "./united-internet.ts";
import { rules as yahoo } from "./yahoo.ts";
import { rules as yandex } from "./yandex.ts";

/** The rules that Tyto comes with, by who speaks so. Those of providers come first; what everybody says, last. */
export const pack: readonly ShippedRule[] = [
  ...google,
  ...microsoft,
  ...yahoo,
  ...apple,
  ...comcast,
  ...att,
  ...charter,
  ...cox,
  ...unitedInternet,
  ...tOnline,
  ...orange,
  ...laposte,
  ...free,
  ...libero,
  ...mailRu,
  ...yandex,
  ...qq,
  ...netease,
  ...proofpoint,
  ...mimecast,
  ...barracuda,
  ...cisco,
  ...blockLists,
  ...anybody,
];
