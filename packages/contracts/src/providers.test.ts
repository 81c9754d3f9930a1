import { expect, test } from "bun:test";
import { providerLabel, providerOf } from "./providers.ts";

const cases: [string, string | undefined, string][] = [
  ["ann@gmail.com", undefined, "google"],
  ["Ann@GMAIL.com", undefined, "google"],
  ["ann@firma.example", "aspmx.l.google.com", "google"],
  ["ann@firma.example", "ASPMX.L.GOOGLE.COM.", "google"],
  ["ann@firma.example", "firma-example.mail.protection.outlook.com", "microsoft"],
  ["ann@firma.example", "eu-smtp-inbound-1.mimecast.com", "mimecast"],
  ["ann@firma.example", "mx.firma.example", "firma.example"],
  ["ann@firma.example", undefined, "firma.example"],
  ["ann@web.de", "mx-ha02.web.de", "united-internet"],
  ["ann@yahoo.co.jp", undefined, "yahoo-japan"],
  ["unknown@recipient.invalid", undefined, "unknown"],
  ["ann@notgoogle.com", "mx.notgoogle.com", "notgoogle.com"],
];
for (const [address, mx, provider] of cases)
  test(`${address}${mx === undefined ? "" : ` by ${mx}`} is ${provider}'s`, () => {
    expect(providerOf(address, mx)).toBe(provider);
  });

test.each([
  ["google", "Google"],
  ["yahoo-japan", "Yahoo Japan"],
  ["att", "AT&T"],
  ["firma.example", "firma.example"],
])("%s is called %s", (provider, label) => {
  expect(providerLabel(provider)).toBe(label);
});
