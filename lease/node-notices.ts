/**
 * What a controller tells of single nodes where people look for it, beside its own report: in Kubernetes a condition and an Event of the
 * Node. Stores without such a place have none.
 */

/** Why a node's routes are not written. */
export interface NodeNotice {
  /** As the store names the node. */
  readonly nodeName: string;
  /** One stable word in CamelCase. */
  readonly reason: string;
  /** One sentence. */
  readonly message: string;
}

export interface NodeNotices {
  /**
   * Brings what is said in line with this: these nodes have trouble, `undecided` ones are left alone, and of all others it is taken back
   * where something was said. Writes what has changed and nothing else.
   *
   * @throws as `LeaseStore`, after as many nodes as could be told.
   */
  tell(trouble: readonly NodeNotice[], undecided: ReadonlySet<string>, signal: AbortSignal): Promise<void>;
}
