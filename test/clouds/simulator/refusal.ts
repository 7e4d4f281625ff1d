/** A cloud's refusal of a request, thrown anywhere inside a simulator and answered in the cloud's own words. */
import type { SimulatorAnswer } from './http-server.ts';

export class Refusal extends Error {
  /** The cloud's own code, which the request log shows as the outcome. */
  readonly code: string;
  readonly answer: SimulatorAnswer;

  constructor(code: string, message: string, answer: SimulatorAnswer) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.answer = answer;
  }
}
