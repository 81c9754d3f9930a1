/** AWS Signature Version 4 for a request without a query, as the AWS General Reference describes it. */
import { createHash, createHmac } from "node:crypto";

export type AwsCredentials = {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken?: string | undefined;
};

export type SignedRequest = {
  method: string;
  host: string;
  path: string;
  /** In lower case; signed with `host` and `x-amz-date`. */
  headers: Readonly<Record<string, string>>;
  body: string;
  region: string;
  service: string;
  nowMs: number;
};

/** The headers of the request with `x-amz-date`, the session token and `authorization`. */
export function signRequest(request: SignedRequest, credentials: AwsCredentials): Record<string, string> {
  const { method, host, path, body, region, service, nowMs } = request;
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const headers: Record<string, string> = {
    ...request.headers,
    host,
    "x-amz-date": time,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const names = Object.keys(headers).toSorted();
  const canonical = [
    method,
    path,
    "",
    ...names.map((name) => `${name}:${(headers[name] ?? "").trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    sha256(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = [region, service, "aws4_request"].reduce<Buffer>(
    (previous, part) => hmac(previous, part),
    hmac(Buffer.from(`AWS4${secretAccessKey}`), day),
  );
  const signature = hmac(key, toSign).toString("hex");
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
