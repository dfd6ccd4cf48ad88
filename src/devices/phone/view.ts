import type { View } from './element.js';
import { appColor } from './icons.js';
import type { HardPage } from './hard/state.js';
import { shown, type Page, type PhoneState } from './state.js';
import {
  chatPage,
  chatsPage,
  clipboardMark,
  contactPage,
  groupPage,
  mailPage,
  mailsPage,
  peoplePage,
  settingsGroups,
} from './hard/app-screens.js';
import { cartIcon, cartPage, hardResults, itemPage, limitPage, orderedPage, sortPage } from './hard/shop-screens.js';
import type { World } from './world.js';
import { defaultBrowserDialog, loadingPage, missingPage, startPage, webResults } from './screens/browser.js';
import { keyboard, navigationBar, statusBar } from './screens/chrome.js';
import { clockPage, newAlarmPage } from './screens/clock.js';
import { launcher, plainApp, WALLPAPERS } from './screens/launcher.js';
import { settingsPage } from './screens/settings.js';
import { HEADER, privacyPage, productPage, resultsPage, shopPage } from './screens/shop.js';

/** The current screen: the page, what covers it, and the phone's own bars. */
export function viewOf(world: World, state: PhoneState): View {
  const page = shown(state);
  const { elements, maxScroll } = state.loading ? loadingPage(state, addressOf(page)) : pageView(world, state, page);
  const bar = barColors(world, page);
  return {
    elements: [
      ...elements,
      ...(state.dialog ? defaultBrowserDialog() : []),
      ...(state.focus === undefined ? [] : [keyboard()]),
      statusBar(world, state, bar.top, bar.dark),
      ...clipboardMark(state),
      ...navigationBar(bar.bottom, page.kind === 'launcher' ? '#ffffff' : '#80868b'),
    ],
    maxScroll: state.loading ? 0 : maxScroll,
  };
}

function pageView(world: World, state: PhoneState, page: Page): View {
  switch (page.kind) {
    case 'launcher':
      return launcher(world, page);
    case 'start':
      return startPage(world, state);
    case 'missing':
      return missingPage(state, page.address);
    case 'web':
      return webResults(world, state, page);
    case 'shop':
      return shopPage(world, state, page.shop, world.hard ? [cartIcon(state, page.shop, HEADER)] : []);
    case 'results':
      return world.hard ? hardResults(world, state, page) : resultsPage(world, state, page);
    case 'product':
      return productPage(world, state, page);
    case 'privacy':
      return privacyPage(state, page.shop);
    case 'settings':
      return world.hard ? settingsGroups(world) : settingsPage(world, state, page);
    case 'clock':
      return clockPage(state, page);
    case 'new-alarm':
      return newAlarmPage(page);
    case 'plain':
      return plainApp(page.app);
    default:
      return hardView(world, state, page);
  }
}

function hardView(world: World, state: PhoneState, page: HardPage): View {
  switch (page.kind) {
    case 'sort':
      return sortPage(state, page);
    case 'limit':
      return limitPage(state, page);
    case 'item':
      return itemPage(world, state, page);
    case 'cart':
      return cartPage(state, page);
    case 'ordered':
      return orderedPage(state, page);
    case 'group':
      return groupPage(world, state, page);
    case 'people':
      return peoplePage(state);
    case 'contact':
      return contactPage(state, page);
    case 'mails':
      return mailsPage(world);
    case 'mail':
      return mailPage(world, page);
    case 'chats':
      return chatsPage(world);
    case 'chat':
      return chatPage(state, page);
  }
}

function addressOf(page: Page): string {
  if ('shop' in page) return page.shop;
  if (page.kind === 'web') return page.query;
  return page.kind === 'missing' ? page.address : '';
}

function barColors(world: World, page: Page): { top: string; bottom: string; dark: boolean } {
  switch (page.kind) {
    case 'launcher': {
      const [top, bottom] = WALLPAPERS[world.wallpaper];
      return { top, bottom, dark: true };
    }
    case 'group':
    case 'settings':
      return { top: appColor('settings'), bottom: '#fafafa', dark: true };
    case 'clock':
    case 'new-alarm':
      return { top: appColor('clock'), bottom: '#fafafa', dark: true };
    case 'people':
    case 'contact':
      return { top: appColor('contacts'), bottom: '#fafafa', dark: true };
    case 'mails':
    case 'mail':
      return { top: appColor('mail'), bottom: '#fafafa', dark: true };
    case 'chats':
    case 'chat':
      return { top: appColor('messages'), bottom: '#fafafa', dark: true };
    case 'plain':
      return { top: appColor(page.app), bottom: '#fafafa', dark: true };
    default:
      return { top: '#e8eaed', bottom: '#fafafa', dark: false };
  }
}
