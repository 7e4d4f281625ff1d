/**
 * Looks for text that is hard to read: an expression for the page, whose value lists every text with less than WCAG's contrast of 4.5:1
 * against what lies behind it.
 */
export const unreadableTexts = `(() => {
  const parse = (colour) => {
    const numbers = colour.match(/[\\d.]+(?:e-?\\d+)?/g).map(Number);
    const scale = colour.startsWith('color(') ? 255 : 1;
    const [red, green, blue, alpha = 1] = numbers;
    return [red * scale, green * scale, blue * scale, alpha];
  };
  const over = ([r, g, b, a], [r2, g2, b2]) => [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((each) => {
      const share = each / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
    if (!text || !element.checkVisibility() || element.tagName === 'SCRIPT') continue;
    const ground = behind(element);
    const [light, dark] = [luminance(over(parse(getComputedStyle(element).color), ground)), luminance(ground)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(text.slice(0, 40) + ': ' + ratio.toFixed(2));
  }
  return found;
})()`;
