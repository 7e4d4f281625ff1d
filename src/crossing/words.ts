/** What a node that moves says of itself in its report, and how others find it there. */

const stillByOverlay = 'by the overlay still';

/** `names`: the peers that the cloud's routes do not reach yet. */
export function overlayNote(reached: number, peers: number, names: string): string {
  return `${reached} of ${peers} peers are reached by the cloud’s routes, ${stillByOverlay} ${names}`;
}

/** True for a report of a node that still sends to peers by the overlay. */
export function needsOverlay(reason: string): boolean {
  return reason.includes(stillByOverlay);
}
