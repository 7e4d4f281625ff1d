/** Why a server's certificate is refused, told from the words and codes of Node's TLS (its documentation, "X509 certificate error codes"). */

/** `time`: its time is over or yet to come, by this machine's clock. `trust`: its issuer or its name. */
export type CertificateTrouble = 'time' | 'trust';

/** What to do about a certificate's time, for a hint. */
export const certificateTimeHint =
  'by this machine’s clock the server’s certificate is not valid: set the clock (chronyc tracking, timedatectl), or renew the certificate';

/** Undefined where the text is about something else. `text`: an error's message, and its code where it has one. */
export function certificateTrouble(text: string): CertificateTrouble | undefined {
  if (/certificate (?:has expired|is not yet valid)|CERT_(?:HAS_EXPIRED|NOT_YET_VALID)/i.test(text)) return 'time';
  return /certificate|self.signed|UNABLE_TO_VERIFY/i.test(text) ? 'trust' : undefined;
}

/** What to do about the certificate of a cloud's endpoint; undefined where the text is about something else. */
export function endpointCertificateHint(text: string): string | undefined {
  const trouble = certificateTrouble(text);
  if (trouble === 'time') return certificateTimeHint;
  return trouble && 'add the issuer of the endpoint’s certificate to NODE_EXTRA_CA_CERTS';
}
