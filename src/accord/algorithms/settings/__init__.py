"""Settings of every stage that trains. Importing loads no torch."""

from accord.algorithms.settings.adapter import AdapterSettings as AdapterSettings
from accord.algorithms.settings.direct import DPOConfig as DPOConfig
from accord.algorithms.settings.group_rl import Denominator as Denominator
from accord.algorithms.settings.group_rl import GRPOConfig as GRPOConfig
from accord.algorithms.settings.group_rl import ReinforceConfig as ReinforceConfig
from accord.algorithms.settings.group_rl import RLOOConfig as RLOOConfig
from accord.algorithms.settings.judge import JudgeConfig as JudgeConfig
from accord.algorithms.settings.language import PretrainConfig as PretrainConfig
from accord.algorithms.settings.language import SFTConfig as SFTConfig
from accord.algorithms.settings.optimizer import OptimizerSettings as OptimizerSettings
from accord.algorithms.settings.optimizer import Schedule as Schedule
from accord.algorithms.settings.ppo import CriticStart as CriticStart
from accord.algorithms.settings.ppo import PPOConfig as PPOConfig
from accord.algorithms.settings.rejection import RejectionConfig as RejectionConfig
from accord.algorithms.settings.reward import RewardConfig as RewardConfig
from accord.algorithms.settings.reward import RewardObjective as RewardObjective
from accord.algorithms.settings.rollouts import KLEstimator as KLEstimator
from accord.algorithms.settings.rollouts import KLPlace as KLPlace
from accord.algorithms.settings.rollouts import KLSettings as KLSettings
from accord.algorithms.settings.rollouts import Rollouts as Rollouts
from accord.algorithms.settings.rollouts import ShapingSettings as ShapingSettings
