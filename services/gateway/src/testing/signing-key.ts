/** A key that nobody signs with: the gateway only tells of it. */
export const signingKey = {
  selector: "tyto1",
  algorithm: "rsa-sha256",
  publicKey: "UFVC",
  sealedPrivateKey: "sealed",
} as const;
