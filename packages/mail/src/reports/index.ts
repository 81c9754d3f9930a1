import { activeHunter } from "./active-hunter.ts";
import { any } from "./any.ts";
import { biglobe } from "./biglobe.ts";
import { bracketed } from "./bracketed.ts";
import { courier } from "./courier.ts";
import { domino } from "./domino.ts";
import { dragonfly } from "./dragonfly.ts";
import { exchange } from "./exchange.ts";
import { exim } from "./exim.ts";
import { failedRecipients } from "./failed-recipients.ts";
import { fml } from "./fml.ts";
import type { Format } from "./format.ts";
import { gmail } from "./gmail.ts";
import { gmailPage } from "./gmail-page.ts";
import { groupwise } from "./groupwise.ts";
import { imail } from "./imail.ts";
import { intermail } from "./intermail.ts";
import { interscan } from "./interscan.ts";
import { james } from "./james.ts";
import { kddi } from "./kddi.ts";
import { mailFoundry } from "./mail-foundry.ts";
import { mailMarshal } from "./mail-marshal.ts";
import { mdaemon } from "./mdaemon.ts";
import { messagingServer } from "./messaging-server.ts";
import { mfilter } from "./mfilter.ts";
import { microsoft } from "./microsoft.ts";
import { netscape } from "./netscape.ts";
import { notes } from "./notes.ts";
import { oneAndOne } from "./one-and-one.ts";
import { opensmtpd } from "./opensmtpd.ts";
import { postfix } from "./postfix.ts";
import { qmail } from "./qmail.ts";
import { rejectedRecipient } from "./rejected-recipient.ts";
import { inlineFields, rfc3464 } from "./rfc3464.ts";
import { sendmail } from "./sendmail.ts";
import { smail } from "./smail.ts";
import { smtpsvc } from "./smtpsvc.ts";
import { technicalDetails } from "./technical-details.ts";
import { verizon } from "./verizon.ts";
import { yahoo } from "./yahoo.ts";
import { zoho } from "./zoho.ts";

/** The standard. */
export const standard: Format = rfc3464;

/**
 * What mail systems write as text, tried in order: those with words of their own before those whose words many have
 * borrowed.
 */
export const texts: readonly Format[] = [
  fml,
  mfilter,
  smail,
  zoho,
  oneAndOne,
  biglobe,
  activeHunter,
  interscan,
  mdaemon,
  bracketed,
  technicalDetails,
  rejectedRecipient,
  kddi,
  intermail,
  verizon,
  james,
  messagingServer,
  groupwise,
  mailMarshal,
  mailFoundry,
  dragonfly,
  opensmtpd,
  courier,
  notes,
  domino,
  exchange,
  microsoft,
  gmail,
  gmailPage,
  smtpsvc,
  yahoo,
  sendmail,
  postfix,
  qmail,
  exim,
  imail,
  netscape,
];

/** When no text is known. */
export const lastResorts: readonly Format[] = [inlineFields, failedRecipients, any];
