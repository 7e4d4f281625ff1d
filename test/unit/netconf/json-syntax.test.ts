import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { jsonSyntaxProblem } from '../../../src/netconf/json-syntax.ts';

describe('names the first character that is wrong, and where', () => {
  test.each([
    [' ', 'unexpected end of JSON input'],
    ['{"a": [1, 2', 'unexpected end of JSON input'],
    ['{"a', 'unexpected end of JSON input'],
    ['{a}', "invalid character 'a' looking for beginning of object key string (line 1, column 2)"],
    ['{"a": 1,}', "invalid character '}' looking for beginning of object key string (line 1, column 9)"],
    ['{"a" 1}', "invalid character '1' after object key (line 1, column 6)"],
    ['{\n  "a": 1\n  "b": 2\n}', "invalid character '\"' after object key:value pair (line 3, column 3)"],
    ['{"a": 1} x', "invalid character 'x' after top-level value (line 1, column 10)"],
    ['[1 2]', "invalid character '2' after array element (line 1, column 4)"],
    ['[1,]', "invalid character ']' looking for beginning of value (line 1, column 4)"],
    ["{'a': 1}", "invalid character '\\'' looking for beginning of object key string (line 1, column 2)"],
    ['[tru]', "invalid character ']' in literal true (expecting 'e') (line 1, column 5)"],
    ['nul', "invalid character ' ' in literal null (expecting 'l') (line 1, column 4)"],
    ['[01]', "invalid character '1' after array element (line 1, column 3)"],
    ['[-]', "invalid character ']' in numeric literal (line 1, column 3)"],
    ['[1.]', "invalid character ']' after decimal point in numeric literal (line 1, column 4)"],
    ['[1e]', "invalid character ']' in exponent of numeric literal (line 1, column 4)"],
    ['["\\x"]', "invalid character 'x' in string escape code (line 1, column 4)"],
    ['["\\u12g4"]', "invalid character 'g' in \\u hexadecimal character escape (line 1, column 7)"],
    ['["a\nb"]', "invalid character '\\n' in string literal (line 1, column 4)"],
  ])('%j', (text, problem) => {
    expect(jsonSyntaxProblem(text)).toBe(problem);
  });
});

test('finds fault exactly where JSON.parse does', () => {
  const almostJson = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', ']', '}', '"', '\\', '0', '.', 'e', 't', '-', ':', '\n'))
    .map(([json, at, piece]) => {
      const place = at % (json.length + 1);
      return `${json.slice(0, place)}${piece}${json.slice(place + (at % 2))}`;
    });
  fc.assert(
    fc.property(fc.oneof(fc.json(), almostJson, fc.string()), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect(jsonSyntaxProblem(text) === undefined).toBe(valid);
    }),
    { numRuns: 2000 },
  );
});
