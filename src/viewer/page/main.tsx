import { render } from 'preact';
import { App } from './app.js';
import { followLinks } from './address.js';
import './style.css';

followLinks();
render(<App />, document.getElementById('page')!);
