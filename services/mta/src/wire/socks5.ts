import { isIP, type Socket } from "node:net";
import type { Proxied, ProxyAddress, ProxyReader, ProxyTrouble } from "./proxy.ts";

const version = 5;
const noAuthentication = 0;
const userPassword = 2;
const connectCommand = 1;

/** RFC 1928 §6; what the others mean concerns the proxy and us. */
const replies = new Map([
  [1, { why: "the SOCKS proxy failed", isOurs: true }],
  [2, { why: "the SOCKS proxy does not allow this connection", isOurs: true }],
  [3, { why: "the network cannot be reached from the proxy", isOurs: false }],
  [4, { why: "the host cannot be reached from the proxy", isOurs: false }],
  [5, { why: "the connection was refused to the proxy", isOurs: false }],
  [6, { why: "the time to live ran out behind the proxy", isOurs: false }],
  [7, { why: "the SOCKS proxy does not know CONNECT", isOurs: true }],
  [8, { why: "the SOCKS proxy does not know this kind of address", isOurs: true }],
]);

/** Asks a SOCKS5 proxy (RFC 1928) to connect us, with user and password (RFC 1929) when it wants and we have them. */
export async function askSocks5(
  socket: Socket,
  reader: ProxyReader,
  proxy: ProxyAddress,
  target: { ip: string; port: number },
): Promise<Proxied | ProxyTrouble> {
  const { user, password = "" } = proxy;
  const methods = user === undefined ? [noAuthentication] : [noAuthentication, userPassword];
  socket.write(Buffer.from([version, methods.length, ...methods]));
  const chosen = await reader.take(2);
  if (chosen === undefined || chosen[0] !== version) return noSocks;
  if (chosen[1] === userPassword && user !== undefined) {
    const login = loginOf(user, password);
    if (login === undefined) return { why: "user or password is too long for SOCKS5", isOurs: true };
    socket.write(login);
    const answer = await reader.take(2);
    if (answer === undefined || answer[1] !== 0)
      return { why: "the SOCKS proxy refused user and password", isOurs: true };
  } else if (chosen[1] !== noAuthentication)
    return { why: "the SOCKS proxy takes none of our ways to authenticate", isOurs: true };

  socket.write(
    Buffer.concat([
      Buffer.from([version, connectCommand, 0]),
      addressOf(target.ip),
      Buffer.from([target.port >> 8, target.port & 255]),
    ]),
  );
  const head = await reader.take(4);
  if (head === undefined || head[0] !== version) return noSocks;
  if (head[1] !== 0)
    return replies.get(head[1] ?? 1) ?? { why: `the SOCKS proxy answered ${head[1]}`, isOurs: true };
  const bound = await boundOf(reader, head[3]);
  return bound ?? noSocks;
}

const noSocks: ProxyTrouble = { why: "what listens there is no SOCKS5 proxy", isOurs: true };

/** RFC 1929 §2: both fields have a length of one byte. */
function loginOf(user: string, password: string): Buffer | undefined {
  const [name, secret] = [Buffer.from(user), Buffer.from(password)];
  if (name.length > 255 || secret.length > 255) return undefined;
  return Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([secret.length]), secret]);
}

/** RFC 1928 §5: the kind of the address, and its bytes. */
function addressOf(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from([1, ...ip.split(".").map(Number)]);
  // The URL parser brings each spelling of IPv6 into the one of RFC 5952.
  const [head = "", tail] = new URL(`http://[${ip.replace(/%.*$/, "")}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  return Buffer.from([4, ...all.flatMap((group) => splitBytes(Number.parseInt(group, 16)))]);
}

const splitBytes = (group: number) => [group >> 8, group & 255];

/** The address that the proxy speaks from; many tell 0.0.0.0, or a name, which says nothing. */
async function boundOf(reader: ProxyReader, kind: number | undefined): Promise<Proxied | undefined> {
  const length = kind === 1 ? 4 : kind === 4 ? 16 : kind === 3 ? (await reader.take(1))?.[0] : undefined;
  const bytes = length === undefined ? undefined : await reader.take(length + 2);
  if (bytes === undefined) return undefined;
  const address = bytes.subarray(0, -2);
  if (kind === 3 || address.every((byte) => byte === 0)) return { localIp: undefined };
  if (kind === 1) return { localIp: address.join(".") };
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(2 * index).toString(16));
  return { localIp: new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1) };
}
