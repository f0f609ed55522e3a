"""Settings of every stage that trains. Importing loads no torch."""

from accord.algorithms.settings.adapter import AdapterSettings as AdapterSettings
from accord.algorithms.settings.direct import DirectConfig as DirectConfig
from accord.algorithms.settings.direct import DistilledConfig as DistilledConfig
from accord.algorithms.settings.direct import DPOConfig as DPOConfig
from accord.algorithms.settings.direct import IPOConfig as IPOConfig
from accord.algorithms.settings.direct import KTOConfig as KTOConfig
from accord.algorithms.settings.direct import ORPOConfig as ORPOConfig
from accord.algorithms.settings.direct import SimPOConfig as SimPOConfig
from accord.algorithms.settings.judge import JudgeConfig as JudgeConfig
from accord.algorithms.settings.language import PretrainConfig as PretrainConfig
from accord.algorithms.settings.language import SFTConfig as SFTConfig
from accord.algorithms.settings.optimizer import OptimizerSettings as OptimizerSettings
from accord.algorithms.settings.optimizer import Schedule as Schedule
from accord.algorithms.settings.ppo import CriticStart as CriticStart
from accord.algorithms.settings.ppo import KLSettings as KLSettings
from accord.algorithms.settings.ppo import PPOConfig as PPOConfig
from accord.algorithms.settings.reward import RewardConfig as RewardConfig
