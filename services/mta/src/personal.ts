import type { DeliveryId } from "@tyto/contracts";
import { encodeOwnAddress, encodeToken } from "@tyto/mail";

/**
 * The header fields that one recipient's copy has of its own: how to unsubscribe, by a request (RFC 8058, which wants https) or
 * by mail (RFC 2369 §3.2), and where its complaints go (RFC 9477 §3; the host is a child of the domain that signs). Each line
 * ends with CRLF.
 */
export function personalFields(deliveryId: DeliveryId, host: string, siteUrl: string, key: string): Buffer {
  const token = encodeToken("unsubscribe", deliveryId, key);
  const unsubscribe = encodeOwnAddress("unsubscribe", deliveryId, host, key);
  const complain = encodeOwnAddress("feedback", deliveryId, host, key);
  const lines = [
    `List-Unsubscribe: <${siteUrl}/u/${token}>,`,
    ` <mailto:${unsubscribe}?subject=unsubscribe>`,
    ...(siteUrl.startsWith("https://") ? ["List-Unsubscribe-Post: List-Unsubscribe=One-Click"] : []),
    `CFBL-Address: ${complain}; report=arf`,
    `CFBL-Feedback-ID: ${encodeToken("feedback", deliveryId, key)}`,
  ];
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}
