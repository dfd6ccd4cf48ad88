import { render } from 'preact';
import { App } from './app.js';
import { followLinks } from './address.js';
import { releaseSelects } from './keyboard.js';
import './style.css';

followLinks();
releaseSelects();
render(<App />, document.getElementById('page')!);
